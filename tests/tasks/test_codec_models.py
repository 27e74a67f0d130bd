"""Classes arrive by the annotation of the parameter, or the adding is refused."""

import enum
from collections import OrderedDict, namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import msgspec
import pytest

from mainspring.errors import InvalidArguments
from mainspring.tasks.callplan import CallPlan
from mainspring.tasks.codec import decode_call, decode_result, encode_call, encode_result
from mainspring.tasks.secrets import Secret

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    ODD = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Word(enum.StrEnum):
    YES = "yes"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    colour: Colour = Colour.RED


class Size(NamedTuple):
    x: int
    colour: Colour = Colour.RED


@dataclass
class Line:
    at: datetime
    colour: Colour
    tags: set[str] = field(default_factory=set)
    seen: int = field(default=0, init=False)


@dataclass(frozen=True)
class Order:
    id: int
    lines: list[Line] = field(default_factory=list)
    parent: "Order | None" = None
    extra: Any = None
    price: float = 0.0


@dataclass(eq=False)
class Blind:
    id: int


@dataclass
class Fuel:
    seed: InitVar[int]
    total: int = field(init=False, default=0)

    def __post_init__(self, seed: int) -> None:
        self.total = seed


@dataclass
class Box(Generic[T]):
    what: T


class Row(msgspec.Struct):
    id: int
    point: Point | None = None


class Model:
    """What pydantic's models look like from outside."""

    def __init__(self, *, id: int, colour: Colour = Colour.RED) -> None:  # noqa: A002
        self.id, self.colour = id, colour

    def model_dump(self, *, round_trip: bool, by_alias: bool) -> dict[str, object]:
        assert round_trip
        assert by_alias
        return {"id": self.id, "$colour": self.colour.value}

    @classmethod
    def model_validate(cls, value: object) -> "Model":
        assert isinstance(value, dict)
        return cls(id=value["id"], colour=Colour(value["$colour"]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.id, self.colour) == (other.id, other.colour)

    __hash__ = None  # type: ignore[assignment]


class Email(str):
    __slots__ = ()


class Ticket(TypedDict):
    id: int
    colour: NotRequired[Colour]


class PlainTicket(TypedDict):
    id: int


OrderId = NewType("OrderId", int)
OldPair = namedtuple("OldPair", "a b")  # noqa: PYI024
LINE = Line(datetime(2026, 1, 1, tzinfo=UTC), Colour.ODD, {"a"})

KEPT = [
    (Colour, Colour.RED),
    (Colour, Colour.ODD),
    (Level, Level.LOW),
    (Word, Word.YES),
    (Rights, Rights.READ | Rights.WRITE),
    (Literal[Colour.RED, "other"], Colour.RED),
    (Point, Point(1, Colour.ODD)),
    (OldPair, OldPair(1, (2,))),
    (Line, LINE),
    (Order, Order(1, [LINE], Order(2), {"$set": (1,)}, 3)),
    ("Order | None", Order(1)),
    (Order | None, None),
    (Order | Row | int, Row(1, Point(2))),
    (Order | Row | int, 5),
    (list[Order], [Order(1), Order(2)]),
    (Sequence[Point], (Point(1), Point(2))),
    (set[Colour], {Colour.RED, Colour.ODD}),
    (frozenset[Point], frozenset({Point(1)})),
    (dict[str, Order], {"a": Order(1), "$b": Order(2)}),
    (Mapping[str, list[Colour]], {"a": [Colour.RED]}),
    (tuple[Order, int], (Order(1), 2)),
    (tuple[Order, ...], (Order(1), Order(2))),
    (Annotated[Order, "doc"], Order(1)),
    (Secret[Order], Order(1)),
    (Secret[str] | None, None),
    (Row, Row(1)),
    (Box[int], Box(1)),
    (Model, Model(id=1, colour=Colour.RED)),
    (list[Model] | None, [Model(id=1)]),
    (Email, Email("a@b")),
    (OrderedDict, OrderedDict(b=1, a=2)),
    (Ticket, {"id": 1, "colour": Colour.RED}),
    (Ticket, {"id": 1}),
    (PlainTicket, {"id": 1}),
    (OrderId, 7),
    (Any, {"x": (1,)}),
    ("Unknown", (1, 2)),
    (Order, None),
    (Colour, None),
    (float, 1),
    (int, True),
]


def plan_for(annotation: object) -> CallPlan:
    def function(value, *rest, **more):
        raise AssertionError

    function.__annotations__ = {"value": annotation, "rest": annotation, "more": annotation, "return": annotation}
    return CallPlan(function)


@pytest.mark.parametrize(("annotation", "value"), KEPT, ids=lambda item: type(item).__name__)
def test_arrives_by_its_annotation(annotation, value):
    plan = plan_for(annotation)
    text = encode_call((value, value), {"other": value}, plan)
    args, kwargs = decode_call(text, plan)
    assert args == (value, value)
    assert kwargs == {"other": value}
    assert [type(item) for item in (*args, kwargs["other"])] == [type(value)] * 3
    result = decode_result(encode_result(value, plan), plan)
    assert result == value
    assert type(result) is type(value)


class Derived(Line):
    pass


REFUSED = [
    (int, Order(1), "annotate the function's parameter with Order"),
    (Any, Colour.RED, "annotate the function's parameter with Colour"),
    ("Unknown", Row(1), "annotate the function's parameter with Row"),
    (str, Email("a"), "with Email"),
    (int, Level.LOW, "with Level"),
    (tuple, Point(1), "with Point"),
    (Line, Derived(LINE.at, Colour.RED), "would arrive as Line"),
    (Point, Size(1), "would arrive as Point"),
    (Row, Row(1, Size(2)), "would arrive as Row"),
    (Order, {"id": 1}, "would arrive as Order"),
    (Order, {"nothing": 1}, "TypeError"),
    (Order, Order(1, extra=Colour.RED), "would arrive as Order"),
    (Order, Order(True, extra=1j), r"\.extra: .*1j"),
    (Blind, Blind(1), "an == that compares"),
    (Fuel, Fuel(3), "TypeError"),
    (Colour, "red", "would arrive as <Colour.RED"),
    (Word, "yes", "would arrive as <Word.YES"),
    (Colour, "purple", "ValueError.*purple"),
    (list[Order], [{"id": 1}], "would arrive as"),
    (Colour | str, "red", "would arrive as"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), REFUSED, ids=lambda item: type(item).__name__)
def test_what_the_annotation_does_not_bring_back_is_refused(annotation, value, words):
    plan = plan_for(annotation)
    with pytest.raises(InvalidArguments, match=rf"^value.*{words}"):
        encode_call((value,), {}, plan)
    with pytest.raises(InvalidArguments, match=rf"^the result.*{words}"):
        encode_result(value, plan)


def test_fields_set_outside_the_constructor_are_not_lost_in_silence():
    line = Line(LINE.at, Colour.RED)
    line.seen = 3
    with pytest.raises(InvalidArguments, match=r"would arrive as Line.*seen=0"):
        encode_call((line,), {}, plan_for(Line))


def test_the_path_leads_through_fields():
    order = Order(1, [LINE, Line(LINE.at, Colour.RED, {"\ud800"})])
    with pytest.raises(InvalidArguments, match=r"^value\.lines\[1\]\.tags\[0\]: .*surrogates"):
        encode_call((order,), {}, plan_for(Order))


def test_a_cycle_of_records_is_refused():
    order = Order(1, extra={})
    order.extra["again"] = order
    with pytest.raises(InvalidArguments, match=r"value\.extra\['again'\].*contains itself"):
        encode_call((order,), {}, plan_for(Order))


def test_without_a_plan_records_are_refused_and_stored_ones_arrive_as_dicts():
    with pytest.raises(InvalidArguments, match=r"^args\[0\]: "):
        encode_call((Order(1),), {})
    text = encode_call((Order(1),), {}, plan_for(Order))
    (arrived,), _ = decode_call(text)
    assert arrived == {"id": 1, "lines": [], "parent": None, "extra": None, "price": 0.0}


def test_plain_json_from_a_client_that_has_no_code_arrives_as_the_annotation_says():
    assert decode_call('[[{"id":1}],{}]', plan_for(Order)) == ((Order(1),), {})


def test_a_class_that_changed_since_is_an_error_that_says_so():
    with pytest.raises(InvalidArguments, match=r"^value: .*was the class changed"):
        decode_call('[[{"id":1,"gone":2}],{}]', plan_for(Order))


def test_nothing_is_imported_by_what_the_text_says():
    text = '[[{"$dict":{"__class__":"os:system","$type":"os:system"}}],{}]'
    assert decode_call(text) == (({"__class__": "os:system", "$type": "os:system"},), {})
