"""Wrong values that programs may pass, for property tests: a check must refuse or accept them."""

from __future__ import annotations

from hypothesis import strategies as st

#: Python refuses to write the second one in decimal, and neither fits into any type of the kernel.
huge_numbers = st.sampled_from([400, 5000]).map(lambda digits: 10**digits)

numbers = st.one_of(
    st.integers(),
    st.sampled_from([-1, 0, 1, 2, 10, 65535, 65536, 2**31, 2**63]),
    huge_numbers,
    huge_numbers.map(lambda number: -number),
    st.booleans(),
    st.floats(),
)

#: Including lone surrogates.
texts = st.one_of(
    st.text(st.characters()),
    st.sampled_from(
        ["local", "ipv4", "ipv6", "datagram", "seqpacket", "::1", "127.0.0.1", "fe80::1%lo"]
    ),
    st.sampled_from(["9" * 5000, "\0", "\0a\0", "a\0b", "/tmp/\ud800", "::1%\ud800", "x" * 300]),
    st.sampled_from(["a\nb", "\ud800", "x" * 100_000]),
    st.sampled_from(["224.0.0.1", "224.0.0.1%l\0o", "ff02::1%\ud800", "224.0.0.1%" + "x" * 16]),
)


class Broken:
    """An object that raises an exception for every operation."""

    def __eq__(self, other: object) -> bool:
        raise LookupError("compared")

    def __bool__(self) -> bool:
        raise LookupError("asked for its truth")

    def __repr__(self) -> str:
        raise LookupError("shown")

    __hash__ = None


class BrokenText(str):
    """A str that raises an exception when it is shown, written or compared."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise LookupError("compared")

    def __str__(self) -> str:
        raise LookupError("written")

    def __repr__(self) -> str:
        raise LookupError("shown")

    def __format__(self, spec: str) -> str:
        raise LookupError("formatted")


values = st.recursive(
    st.one_of(
        st.none(),
        numbers,
        texts,
        texts.map(BrokenText),
        st.binary(max_size=20),
        st.builds(Broken),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=10), st.tuples(inner, inner)),
    max_leaves=12,
)

#: Address forms, and values that look like them.
addresses = st.one_of(
    values,
    st.tuples(*[st.integers(-1, 256)] * 5),
    st.tuples(*[st.integers(0, 65535)] * 9),
    st.tuples(texts, numbers),
    st.tuples(st.sampled_from([1, 2, 10]), st.binary(max_size=130).map(tuple)),
    st.tuples(numbers, st.just((1, 2))),
)
