"""Tricks with what members are called and what torch's own records hold. `TRICKS` here is all of them."""

from __future__ import annotations

from dataclasses import replace

from tests.containers.zip_builder import Archive, Member
from tests.differential.archive_tricks import TRICKS, at, folder_of, on_one, other_case, pick, put, trick
from tests.differential.archives import Chance, text

__all__ = ["TRICKS"]

_RECORDS = {
    b"byteorder": (b"big", b"BIG", b"", b"little\n", b" little", b"middle", b"little\0", b"big"),
    b"version": (b"99\n", b"0", b"-1", b"abc", b"3", b"", b"2\n", b"10\n", b"3\n3\n", b"9" * 30),
    b".data/version": (b"3\n", b"99\n", b"1", b"x", b""),
    b".data/serialization_id": (b"", b"0", b"\xff" * 40, b"x" * 5000, b"\n"),
    b".format_version": (b"0", b"x", b"", b"2", b"1" * 30),
    b".storage_alignment": (b"0", b"-1", b"x", b"1", b"4096", b""),
}


@on_one
def odd_name(chance: Chance, archive: Archive, member: Member) -> Member:
    """An added letter or two, or another name altogether; in both headers or in the directory only."""
    folder, name = folder_of(archive), member.name
    main = folder + b"/data.pkl"
    new = chance.choice(
        (
            name + b"\0z", main + b"\0z", main + b"\0", b"\0" + name, name.replace(b"/", b"\0", 1),
            b"/" + name, b"../" + name, folder + b"/../" + main, folder + b"/./data.pkl", folder + b"//data.pkl",
            name.replace(b"/", b"\\"), b"c:" + name, b"", b"/", b"..", name + b"/", name + b" ", name + b".",
            folder + b"/\xff\xfe", folder + b"/\x81.pkl", folder + b"/data.p\xe2\x84\xaal", b"\xef\xbb\xbf" + name,
            name + b"\n", folder + b"/\x1b[2K", folder + b"/" + b"n" * 5000, folder + b"/data.pkl:stream",
            folder + b"/data\xc2\xa0.pkl", b"\n\x80\x02K\7.",
        )
    )  # fmt: skip
    if chance.random() < 0.7:
        return replace(member, name=new)
    return replace(member, central={**member.central, "name": new})


@trick
def second_data_pkl_by_another_name(chance: Chance, archive: Archive) -> Archive:
    """A member beside the true one that some reader takes for data.pkl."""
    folder = folder_of(archive)
    name = chance.choice(
        (
            b"data.pkl", b"b/data.pkl", b"/data.pkl", folder + b"/data.pkl\0x", folder + b"\\data.pkl",
            folder + b"//data.pkl", folder + b"/./data.pkl", folder.upper() + b"/data.pkl",
            b"./" + folder + b"/data.pkl",
            folder + b"/sub/data.pkl", folder + b"/data.pkl/", folder + b"/.data/data.pkl", folder + b"/data/data.pkl",
            folder + b"/data.pkl ", b"x/" + folder + b"/data.pkl", folder + b"\0/data.pkl", folder + b"/data.debug_pkl",
        )
    )  # fmt: skip
    return put(chance, archive, Member(name, chance.pickle(), flags=chance.choice((0, 0x808)), align=0))


@trick
def first_entry_of_another_folder(chance: Chance, archive: Archive) -> Archive:
    """torch takes the folder of the first entry for the archive's own."""
    name = chance.choice((b"b/x", b"b/", b"README", b"b/data.pkl", b"/x", b"../x", b"a", b"", b"b/c/data.pkl"))
    data = b"" if name.endswith(b"/") else chance.choice((b"", b"some text\n", chance.pickle()))
    first = Member(name, data, flags=0, align=0)
    return archive.but(members=(first, *archive.members))


@trick
def folder_renamed(chance: Chance, archive: Archive) -> Archive:
    """All members in another folder, or some of them."""
    old = folder_of(archive)
    new = chance.choice(
        (b"", b"..", b".", b"a/b", b"a\\b", b" ", b"\xff", old + b"\0", other_case(chance, old), b"c:", b"f" * 600,
         b"mod\xc3\xa8le", b"mod\xc3\xa8le", b"\xe6\xa8\xa1")
    )  # fmt: skip
    some = chance.random() < 0.4
    members = [
        replace(m, name=new + m.name[len(old) :])
        if m.name.startswith(old) and not (some and chance.random() < 0.5)
        else m
        for m in archive.members
    ]
    return archive.but(members=tuple(members))


@trick
def folder_entries(chance: Chance, archive: Archive) -> Archive:
    folder = folder_of(archive)
    name = chance.choice((b"/", b"/data/", b"/data.pkl/", b"/.data/", b"/data/0/", b"/x/y/"))
    held = chance.choice((b"", b"", b"", b"bytes"))
    entry = Member(folder + name, held, flags=0, align=0, central={"external": chance.choice((0, 0x10))})
    return put(chance, archive, entry)


@trick
def odd_record(chance: Chance, archive: Archive) -> Archive:
    """A small record with another content, a second one, or one in other case."""
    folder = folder_of(archive)
    name = chance.choice(tuple(_RECORDS))
    full = folder + b"/" + name
    data = chance.choice(_RECORDS[name])
    if chance.random() < 0.15:
        data = chance.pickle()
    present = [i for i, m in enumerate(archive.members) if m.name == full]
    if present and chance.random() < 0.7:
        return at(archive, present[0], replace(archive.members[present[0]], data=data))
    if chance.random() < 0.3:
        full = folder + b"/" + other_case(chance, name)
    return put(chance, archive, Member(full, data, flags=0x808 if data else 0x800))


@trick
def marks_of_torchscript(chance: Chance, archive: Archive) -> Archive:
    folder = folder_of(archive)
    name = chance.choice(
        (b"constants.pkl", b"CONSTANTS.PKL", b"x/constants.pkl", b"code/x.py", b"code/x.py.debug_pkl", b"constants/0",
         b"attributes.pkl", b"model.json", b"x.debug_pkl", b"data.debug_pkl", b".data/extern_modules",
         b"archive_format")
    )  # fmt: skip
    data = chance.pickle() if name.lower().endswith(b"pkl") else b"def f():\n    pass\n"
    if chance.random() < 0.1:
        # torch cuts names of more than 511 bytes in its listing, by which it knows TorchScript.
        folder, name = b"f" * 497, b"constants.pkl" + chance.choice((b"x", b".txt"))
        moved = [replace(m, name=folder + m.name[m.name.find(b"/") :]) for m in archive.members if b"/" in m.name]
        archive = archive.but(members=tuple(moved))
    return put(chance, archive, Member(folder + b"/" + name, data, flags=chance.choice((0, 0x808)), align=0))


@trick
def storages_disagree(chance: Chance, archive: Archive) -> Archive:
    """A storage that is missing, has another length, another name, or that nobody names."""
    folder = folder_of(archive) + b"/data/"
    found = [i for i, m in enumerate(archive.members) if m.name.startswith(folder) and not m.name.endswith(b"/")]
    if not found or chance.random() < 0.25:
        key = chance.choice((b"7", b"00", b"0x", b"-1", b"0.", b"\xd9\xa1", b"x", b"0/0", b"99999999999999999999"))
        data = chance.choice((b"", chance.randbytes(16), chance.pickle()))
        return put(chance, archive, Member(folder + key, data, flags=0x808 if data else 0x800))
    index = chance.choice(found)
    member = archive.members[index]
    match chance.randrange(5):
        case 0:
            return archive.but(members=archive.members[:index] + archive.members[index + 1 :])
        case 1:
            return at(archive, index, replace(member, data=member.data[:-1]))
        case 2:
            return at(archive, index, replace(member, data=member.data + bytes(8)))
        case 3:
            odd = chance.choice((b"00", b"0 ", b"0\0", b"a", b"\xc2\xb2"))
            return at(archive, index, replace(member, name=folder + odd))
        case _:
            return at(archive, index, replace(member, data=chance.pickle()))


@trick
def odd_pickle(chance: Chance, archive: Archive) -> Archive:
    """data.pkl with more behind its end, in front of its start, or nothing."""
    index = pick(chance, archive)
    if index is None:
        return archive
    member = archive.members[index]
    match chance.randrange(6):
        case 0:
            data = member.data + chance.pickle()
        case 1:
            data = member.data + chance.choice((b"\0", b"\n", b"junk", bytes(40)))
        case 2:
            data = b""
        case 3:
            data = chance.pickle() + member.data
        case 4:
            data = member.data[:-1]
        case _:
            return archive.but(members=archive.members[:index] + archive.members[index + 1 :])
    return at(archive, index, replace(member, data=data))


@on_one
def odd_storage_key(chance: Chance, archive: Archive, member: Member) -> Member:
    """The object names its storage 0 by another key than the one that the member has."""
    spelt = chance.choice((b"00", b"0 ", b"0\0x", b"+0", b"../data/0", b"\xd9\xa0", b"", b"1"))
    data = member.data.replace(text(b"0"), text(spelt))
    return replace(member, data=data)


@on_one
def member_is_an_archive(chance: Chance, archive: Archive, member: Member) -> Member:
    """A whole archive stored as a member: its end record and directory lie in the middle of the file."""
    inner = Archive((Member(folder_of(archive) + b"/data.pkl", chance.pickle()),)).build()
    return replace(member, name=folder_of(archive) + b"/inner.pt", data=inner)
