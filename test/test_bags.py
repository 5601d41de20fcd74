"""Bags: what is written is read back, by us and by others, and damage is said in one line."""

from __future__ import annotations

import array
import importlib.util
import json
from pathlib import Path
import shutil

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3D, Detection3DArray
from xmodelkd_ros.bags.definitions import message_definition
from xmodelkd_ros.bags.overview import bag_overview
from xmodelkd_ros.bags.prefetching import Prefetch
from xmodelkd_ros.bags.reader import BagReader, header_stamp, message_class
from xmodelkd_ros.bags.writer import BagWriter
from xmodelkd_ros.errors import BagError
from xmodelkd_ros.messages.stamps import stamp_message
import yaml

START = 1_700_000_000_000_000_000
FORMATS = [(s, c) for s in ('mcap', 'sqlite3') for c in ('none', 'zstd')]


def cloud(stamp: int, count: int = 50) -> PointCloud2:
    rng = np.random.default_rng(stamp % 1000)
    message = PointCloud2(height=1, width=count, point_step=16, row_step=16 * count)
    message.header = Header(stamp=stamp_message(stamp), frame_id='lidar')
    message.fields = [
        PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate('xyz')]
    message.data = array.array('B', rng.bytes(16 * count))
    return message


def fill(path: Path, storage: str = 'mcap', compression: str = 'none', start: int = START):
    """Write 10 clouds, 5 texts and a static transform; return (topic, stamp, message)."""
    written = [('/tf_static', start, TFMessage())]
    for index in range(10):
        stamp = start + index * 100_000_000
        written.append(('/points', stamp, cloud(stamp)))
        if index % 2:
            written.append(('/text', stamp + 1, String(data=f'number {index}')))
    with BagWriter(path, storage, compression) as bag:
        for topic, stamp, message in written:
            bag.write(topic, message, stamp)
    return written


@pytest.mark.parametrize(('storage', 'compression'), FORMATS)
def test_messages_come_back_as_they_were_written(tmp_path, storage, compression):
    written = fill(tmp_path / 'bag', storage, compression)
    with BagReader(tmp_path / 'bag') as bag:
        assert list(bag.messages()) == written
        described = {n: (t.type_name, t.count, t.latched) for n, t in bag.topics.items()}
        assert (bag.start, bag.end) == (START, START + 900_000_001)
    assert described == {
        '/points': ('sensor_msgs/msg/PointCloud2', 10, False),
        '/text': ('std_msgs/msg/String', 5, False),
        '/tf_static': ('tf2_msgs/msg/TFMessage', 1, True),
    }
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


@pytest.mark.parametrize(('storage', 'compression'), FORMATS)
def test_topics_and_start_choose_messages(tmp_path, storage, compression):
    written = fill(tmp_path / 'bag', storage, compression)
    start = START + 450_000_000
    with BagReader(tmp_path / 'bag') as bag:
        got = list(bag.messages(['/text'], start=start))
        assert list(bag.messages([])) == []
    assert got == [row for row in written if row[0] == '/text' and row[1] >= start]


@pytest.mark.parametrize(('storage', 'compression'), FORMATS)
def test_another_library_decodes_it_with_the_definitions_in_the_bag(
    tmp_path, storage, compression
):
    box = Detection3DArray(detections=[Detection3D(id='7')])
    box.detections[0].bbox.size.x = 4.5
    with BagWriter(tmp_path / 'bag', storage, compression) as bag:
        bag.write('/points', cloud(START), START)
        bag.write('/boxes', box, START)
    with AnyReader([tmp_path / 'bag']) as reader:
        got = {c.topic: reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()}
        assert {c.ext.serialization_format for c in reader.connections} == {'cdr'}
    assert got['/points'].data.tobytes() == cloud(START).data.tobytes()
    assert got['/points'].fields[2].name == 'z'
    assert got['/boxes'].detections[0].bbox.size.x == 4.5


def test_compression_makes_the_bag_smaller(tmp_path):
    image = Image(data=array.array('B', bytes(500_000)))
    size = {}
    for storage, compression in FORMATS:
        path = tmp_path / (storage + compression)
        with BagWriter(path, storage, compression) as bag:
            bag.write('/image', image, START)
        size[storage, compression] = sum(f.stat().st_size for f in path.iterdir())
    assert size['mcap', 'zstd'] < size['mcap', 'none'] / 10
    assert size['sqlite3', 'zstd'] < size['sqlite3', 'none'] / 10


def test_latched_topics_stay_latched_for_other_players(tmp_path):
    fill(tmp_path / 'bag')
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    information = metadata['rosbag2_bagfile_information']
    durability = {
        row['topic_metadata']['name']:
            yaml.safe_load(row['topic_metadata']['offered_qos_profiles'])[0]['durability']
        for row in information['topics_with_message_count']
    }
    assert durability == {'/tf_static': 1, '/points': 2, '/text': 2}
    assert information['version'] == 8
    assert information['storage_identifier'] == 'mcap'


@pytest.mark.parametrize('type_name', [
    'sensor_msgs/msg/PointCloud2', 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage',
    'vision_msgs/msg/Detection2DArray', 'vision_msgs/msg/Detection3DArray',
    'vision_msgs/msg/LabelInfo', 'diagnostic_msgs/msg/DiagnosticArray',
])
def test_type_hashes_are_those_of_the_installed_interfaces(type_name):
    package, kind, name = type_name.split('/')
    module = Path(importlib.util.find_spec(package).origin)
    installed = next((p / 'share' / package / kind / f'{name}.json' for p in module.parents
                      if (p / 'share' / package).is_dir()), None)
    if installed is None or not installed.is_file():
        pytest.skip('this distribution installs no type descriptions')
    hashes = {row['type_name']: row['hash_string']
              for row in json.loads(installed.read_text())['type_hashes']}
    definition, type_hash = message_definition(type_name)
    assert type_hash == hashes[type_name]
    inner = {name.replace('/msg/', '/') for name in hashes} - {type_name.replace('/msg/', '/')}
    assert {line[5:] for line in definition.splitlines() if line.startswith('MSG: ')} == inner


def test_a_type_that_is_not_installed_is_named(tmp_path):
    with (
        pytest.raises(BagError, match=r'no_such_msgs/msg/Thing'),
        BagWriter(tmp_path / 'bag') as bag,
    ):
        bag.write_raw('/thing', 'no_such_msgs/msg/Thing', b'', START)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('type_name', ['foxglove.Thing', 'std_msgs/String', '', 'a/b/c/d'])
def test_a_type_that_is_no_message_is_named(type_name):
    with pytest.raises(BagError, match=f'message type {type_name} is not installed'):
        message_class(type_name)


@pytest.mark.parametrize('error', [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_an_interrupted_bag_leaves_nothing(tmp_path, storage, error):
    with pytest.raises(error), BagWriter(tmp_path / 'bag', storage) as bag:
        bag.write('/points', cloud(START), START)
        assert list(tmp_path.iterdir()), 'written beside its final place'
        assert not (tmp_path / 'bag').exists()
        raise error
    assert not list(tmp_path.iterdir())


def test_a_bag_is_never_overwritten(tmp_path):
    fill(tmp_path / 'bag')
    with pytest.raises(BagError, match='exists already'):
        BagWriter(tmp_path / 'bag')


def test_a_bag_is_kept_when_its_name_is_taken_meanwhile(tmp_path):
    with (
        pytest.raises(BagError, match=r'not empty; the bag is ') as refusal,
        BagWriter(tmp_path / 'bag') as bag,
    ):
        bag.write('/text', String(data='kept'), 1)
        (tmp_path / 'bag' / 'other').mkdir(parents=True)
    kept = str(refusal.value).rpartition(' ')[2]
    with BagReader(kept) as bag:
        assert [message.data for _, _, message in bag.messages()] == ['kept']
    assert {path.name for path in tmp_path.iterdir()} == {'bag', Path(kept).name}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(BagError, match='cannot be written'), BagWriter(tmp_path / 'file' / 'bag'):
        pass


def test_a_topic_has_one_type(tmp_path):
    with (
        pytest.raises(BagError, match=r'/text holds std_msgs/msg/String'),
        BagWriter(tmp_path / 'bag') as bag,
    ):
        bag.write('/text', String(), START)
        bag.write('/text', Header(), START)


def test_an_empty_bag_can_be_read(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/points', 'sensor_msgs/msg/PointCloud2')
    with BagReader(tmp_path / 'bag') as bag:
        assert bag.topics['/points'].count == 0
        assert (bag.start, bag.end) == (0, 0)
        assert list(bag.messages()) == []
    assert '/points' in bag_overview(tmp_path / 'bag')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_bare_file_is_a_bag(tmp_path, storage):
    written = fill(tmp_path / 'bag', storage)
    file = next(f for f in (tmp_path / 'bag').iterdir() if f.suffix in ('.mcap', '.db3'))
    with BagReader(file) as bag:
        assert list(bag.messages()) == written
        assert bag.topics['/tf_static'].latched


def test_a_split_bag_is_one_bag(tmp_path):
    first = fill(tmp_path / 'first')
    second = fill(tmp_path / 'second', start=START + 2_000_000_000)
    metadata = yaml.safe_load((tmp_path / 'first' / 'metadata.yaml').read_text())
    information = metadata['rosbag2_bagfile_information']
    information['relative_file_paths'] = ['first.mcap', 'second.mcap']
    information['message_count'] *= 2
    information['duration']['nanoseconds'] += 2_000_000_000
    for row in information['topics_with_message_count']:
        row['message_count'] *= 2
    (tmp_path / 'first' / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    shutil.copy(tmp_path / 'second' / 'second.mcap', tmp_path / 'first')
    with BagReader(tmp_path / 'first') as bag:
        assert list(bag.messages()) == first + second
        assert bag.topics['/points'].count == 20


def read_all(path: Path) -> None:
    with BagReader(path) as bag:
        list(bag.messages())


@pytest.mark.parametrize(('storage', 'compression'), FORMATS)
@pytest.mark.parametrize('kept', [0.0, 0.3, 0.8])
def test_a_truncated_bag_is_one_line(tmp_path, storage, compression, kept):
    fill(tmp_path / 'bag', storage, compression)
    file = next(f for f in (tmp_path / 'bag').iterdir() if f.suffix in ('.mcap', '.db3'))
    file.write_bytes(file.read_bytes()[:int(file.stat().st_size * kept)])
    for path in (tmp_path / 'bag', file):
        with pytest.raises(BagError) as caught:
            read_all(path)
        assert str(path) in str(caught.value)
        assert '\n' not in str(caught.value)


def test_what_is_no_bag_is_one_line(tmp_path):
    fill(tmp_path / 'bag')
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    (tmp_path / 'text.txt').write_text('no bag')
    (tmp_path / 'junk.mcap').write_bytes(b'junk' * 100)
    (tmp_path / 'odd').mkdir()
    (tmp_path / 'odd' / 'metadata.yaml').write_text('- [unclosed')
    for path, reason in [
        (tmp_path / 'bag', r'no metadata.yaml: name the file itself \(bag.mcap\)'),
        (tmp_path / 'nothing', 'there is no bag'),
        (tmp_path / 'text.txt', 'neither a bag folder nor'),
        (tmp_path / 'junk.mcap', 'magic'),
        (tmp_path / 'odd', 'damaged'),
    ]:
        with pytest.raises(BagError, match=reason) as caught:
            read_all(path)
        assert '\n' not in str(caught.value)


def test_a_missing_topic_is_named_with_those_that_are_there(tmp_path):
    fill(tmp_path / 'bag')
    with (
        BagReader(tmp_path / 'bag') as bag,
        pytest.raises(BagError, match=r'no topic /camera.*/points, /text, /tf_static'),
    ):
        list(bag.messages(['/camera']))


def test_a_cut_off_message_is_named(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        data = serialize_message(cloud(START))
        bag.write_raw('/points', 'sensor_msgs/msg/PointCloud2', data[:len(data) // 2], START)
    with pytest.raises(BagError, match=r'/points'):
        read_all(tmp_path / 'bag')


def test_the_header_stamp_is_read_without_decoding():
    stamp = START + 123_456_789
    data = serialize_message(cloud(stamp))
    assert header_stamp(data) == stamp
    swapped = b'\0\0\0\0' + data[4:8][::-1] + data[8:12][::-1]
    assert header_stamp(swapped) == stamp
    assert deserialize_message(data, PointCloud2).header.stamp == stamp_message(stamp)


def test_prefetching_keeps_order_and_passes_errors_on():
    def source():
        yield from range(100)
        raise BagError('the end')

    got = []
    with pytest.raises(BagError, match='the end'), Prefetch(source(), size=3) as items:
        got.extend(items)
    assert got == list(range(100))


def test_prefetching_stops_when_nobody_reads():
    taken = []

    def source():
        for number in range(1000):
            taken.append(number)
            yield number

    with Prefetch(source(), size=3) as items:
        next(items)
    assert len(taken) < 10
