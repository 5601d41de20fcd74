"""Image teachers: models behind one small interface, which say what pictures show."""
