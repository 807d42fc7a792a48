"""Damage to files, for tests of what reads them."""

from hypothesis import strategies as st


def edits(likely):
    """Changes of bytes: kind, place in 1/10 000 of the length, and a byte, often a `likely` one."""
    kinds = st.sampled_from(["flip", "set", "insert", "cut", "end", "repeat"])
    byte = st.integers(0, 255) | st.sampled_from(sorted(likely))
    return st.lists(st.tuples(kinds, st.integers(0, 9999), byte), min_size=1, max_size=3)


def with_edits(content, changes):
    """Content after these changes."""
    content = bytearray(content)
    for kind, place, byte in changes:
        if not content:
            break
        at = place * len(content) // 10_000
        if kind == "flip":
            content[at] ^= 1 << byte % 8
        elif kind == "set":
            content[at] = byte
        elif kind == "insert":
            content.insert(at, byte)
        elif kind == "cut":
            del content[at : at + 1 + byte]
        elif kind == "end":
            del content[at:]
        else:
            content[at:at] = content[at : at + 1 + byte]
    return bytes(content)


def slots(tree):
    """Every place in a tree of dicts and lists, as (container, key)."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, dict | list):
            yield from slots(value)
