# ruff: noqa: E501 - one program a line
"""Right programs whose tests compare more than numbers and texts: name, program, test, and a program that is wrong.

What a wrong program returns is near: the test must see the difference.
"""

from typing import NamedTuple


class Right(NamedTuple):
    """A program that passes its test, and one that does not."""

    name: str
    code: str
    test: str
    wrong: str


VECTOR = """
class Vector:
    def __init__(self, x, y): self.x, self.y = x, y
    def __eq__(self, other): return isinstance(other, Vector) and (self.x, self.y) == (other.x, other.y)
    def __hash__(self): return hash((self.x, self.y))
    def __add__(self, other): return Vector(self.x + other.x, self.y + other.y)
    def __mul__(self, n): return Vector(self.x * n, self.y * n)
    __rmul__ = __mul__
    def __neg__(self): return Vector(-self.x, -self.y)
    def __abs__(self): return (self.x ** 2 + self.y ** 2) ** 0.5
    def __lt__(self, other): return abs(self) < abs(other)
    def __iadd__(self, other): self.x += other.x; self.y += other.y; return self
    def __repr__(self): return f"Vector({self.x}, {self.y})"
    def __iter__(self): return iter((self.x, self.y))
    def __matmul__(self, other): return self.x * other.x + self.y * other.y
"""
ACCOUNT = """
class InsufficientFunds(Exception):
    def __init__(self, missing):
        super().__init__(f"{missing} is missing")
        self.missing = missing
class Account:
    def __init__(self): self.balance = 0
    def deposit(self, n): self.balance += n; return self
    def withdraw(self, n):
        if n > self.balance: raise InsufficientFunds(n - self.balance)
        self.balance -= n
"""
MANAGER = """
from contextlib import contextmanager
lines = []
@contextmanager
def logged(name):
    lines.append("open " + name)
    try: yield name.upper()
    finally: lines.append("close " + name)
class Suppress:
    def __init__(self, *kinds): self.kinds = kinds
    def __enter__(self): return self
    def __exit__(self, kind, error, trace): self.error = error; return kind is not None and issubclass(kind, self.kinds)
"""
STACK = """
class Stack(list):
    def push(self, x): self.append(x); return self
"""
COLOR = """
import enum
class Color(enum.Enum):
    RED = 1
    BLUE = 2
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2
def favourite(): return Color.BLUE
def level(): return Level.HIGH
"""

RIGHT = [
    Right("fraction", "from fractions import Fraction\ndef f(): return Fraction(1, 2)", "from fractions import Fraction\nassert f() == Fraction(1, 2)", "from fractions import Fraction\ndef f(): return Fraction(1, 3)"),
    Right("fraction and number", "from fractions import Fraction\ndef half(n): return Fraction(n, 2)", "assert half(1) == 0.5 and half(4) == 2", "def half(n): return n // 2"),
    Right("fractions in a list", "from fractions import Fraction as F\ndef thirds(n): return [F(i, 3) for i in range(n)]", "from fractions import Fraction\nassert thirds(3) == [Fraction(0), Fraction(1, 3), Fraction(2, 3)]", "def thirds(n): return [i / 3 for i in range(n)]"),
    Right("sum of fractions", "from fractions import Fraction\ndef f(n): return Fraction(1, n)", "from fractions import Fraction\nassert f(2) + f(3) == Fraction(5, 6)", "def f(n): return 1 / n"),
    Right("decimal", "from decimal import Decimal\ndef price(n): return Decimal(n) / Decimal(100)", "from decimal import Decimal\nassert price(1999) == Decimal('19.99')", "def price(n): return n / 100"),
    Right("decimal rounded", "from decimal import Decimal, ROUND_HALF_UP\ndef r(x): return Decimal(x).quantize(Decimal('0.01'), ROUND_HALF_UP)", "assert str(r('2.675')) == '2.68'", "def r(x): return round(float(x), 2)"),
    Right("date", "import datetime\ndef next_day(d): return d + datetime.timedelta(days=1)", "from datetime import date\nassert next_day(date(2024, 2, 28)) == date(2024, 2, 29)", "import datetime\ndef next_day(d): return d + datetime.timedelta(days=2)"),
    Right("datetime with a zone", "from datetime import datetime, timezone\ndef utc(s): return datetime.fromtimestamp(s, timezone.utc)", "import datetime as dt\nassert utc(0) == dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)", "from datetime import datetime, timezone\ndef utc(s): return datetime.fromtimestamp(s, timezone.utc).replace(tzinfo=None)"),
    Right("timedelta", "def between(a, b): return b - a", "from datetime import date, timedelta\nassert between(date(2024, 1, 1), date(2024, 3, 1)) == timedelta(days=60)", "def between(a, b): return a - b"),
    Right("attribute of a date", "import datetime\ndef easter(y): return datetime.date(2024, 3, 31)", "assert easter(2024).month == 3 and easter(2024).day == 31", "import datetime\ndef easter(y): return datetime.date(2024, 3, 30)"),
    Right("deque", "from collections import deque\ndef rotate(xs, n): d = deque(xs); d.rotate(n); return d", "from collections import deque\nassert rotate([1, 2, 3], 1) == deque([3, 1, 2])", "from collections import deque\ndef rotate(xs, n): return deque(xs)"),
    Right("deque changed in place", "def drop(d): d.popleft()", "from collections import deque\nd = deque([1, 2, 3], maxlen=5)\ndrop(d)\nassert d == deque([2, 3]) and d.maxlen == 5", "def drop(d): d.pop()"),
    Right("range", "def evens(n): return range(0, n, 2)", "assert evens(6) == range(0, 6, 2) and list(evens(5)) == [0, 2, 4]", "def evens(n): return range(0, n + 1, 2)"),
    Right("counter without an import", "def count(s): return Counter(s)", "assert count('aab') == Counter({'a': 2, 'b': 1})", "def count(s): return Counter(s[1:])"),
    Right("counter's method", "from collections import Counter\ndef count(s): return Counter(s)", "assert count('aab').most_common(1) == [('a', 2)]", "from collections import Counter\ndef count(s): return Counter(s + 'bb')"),
    Right("ordered dictionary", "from collections import OrderedDict\ndef f(): return OrderedDict(b=1, a=2)", "from collections import OrderedDict\nassert f() == OrderedDict([('b', 1), ('a', 2)]) and list(f()) == ['b', 'a']", "from collections import OrderedDict\ndef f(): return OrderedDict(a=2, b=1)"),
    Right("default dictionary", "from collections import defaultdict\ndef group(xs):\n    d = defaultdict(list)\n    for x in xs: d[x % 2].append(x)\n    return d", "assert group([1, 2, 3]) == {1: [1, 3], 0: [2]} and group([])[7] == []", "def group(xs): return {}"),
    Right("named tuple", "from collections import namedtuple\nPoint = namedtuple('Point', 'x y')\ndef f(): return Point(1, 2)", "p = f()\nassert p == (1, 2) and p.x == 1 and p.y == 2 and p._asdict() == {'x': 1, 'y': 2}", "from collections import namedtuple\nPoint = namedtuple('Point', 'y x')\ndef f(): return Point(1, 2)"),
    Right("data class", "from dataclasses import dataclass\n@dataclass\nclass Item:\n    name: str\n    price: int = 0\ndef make(n): return Item(n)", "assert make('a') == Item('a', 0) and make('a').name == 'a'", "from dataclasses import dataclass\n@dataclass\nclass Item:\n    name: str\n    price: int = 0\ndef make(n): return Item(n, 1)"),
    Right("enumeration", COLOR, "assert favourite() is Color.BLUE and favourite() == Color.BLUE and favourite().name == 'BLUE'", COLOR.replace("return Color.BLUE", "return Color.RED")),
    Right("enumeration of numbers", COLOR, "assert level() == 2 and level() is Level.HIGH and level().name == 'HIGH' and level() > 1", COLOR.replace("return Level.HIGH", "return Level.LOW")),
    Right("adding objects", VECTOR, "assert Vector(1, 2) + Vector(3, 4) == Vector(4, 6)", VECTOR.replace("self.x + other.x", "self.x - other.x")),
    Right("multiplying an object", VECTOR, "assert Vector(1, 2) * 3 == Vector(3, 6) and (2 * Vector(1, 2)).y == 4", VECTOR.replace("self.y * n", "self.y")),
    Right("one operand", VECTOR, "assert -Vector(1, 2) == Vector(-1, -2) and abs(Vector(3, 4)) == 5", VECTOR.replace("** 0.5", "")),
    Right("dot product", VECTOR, "v = Vector(1, 2)\nv += Vector(1, 1)\nassert v.x == 2 and v @ Vector(1, 2) == 8", VECTOR.replace("self.y * other.y", "0")),
    Right("order of objects", VECTOR, "a, b = Vector(3, 4), Vector(0, 1)\nassert b < a and sorted([a, b]) == [b, a] and max([a, b]) == a", VECTOR.replace("abs(self) <", "abs(self) >")),
    Right("unpacked object", VECTOR, "x, y = Vector(1, 2)\nassert (x, y) == (1, 2) and len({Vector(1, 2), Vector(1, 2)}) == 1 and isinstance(Vector(1, 2), Vector)", VECTOR.replace("return hash((self.x, self.y))", "return id(self)")),
    Right("representation", VECTOR, "assert repr(Vector(1, 2)) == 'Vector(1, 2)' and str(Vector(0, 0)) == 'Vector(0, 0)' and f'{Vector(1, 2)}' == 'Vector(1, 2)'", VECTOR.replace("Vector({self.x}", "V({self.x}")),
    Right("with", MANAGER, "with logged('a') as name:\n    assert name == 'A'\nassert lines == ['open a', 'close a']", MANAGER.replace("close ", "closed ")),
    Right("with that suppresses", MANAGER, "with Suppress(ValueError) as s:\n    raise ValueError('x')\nassert isinstance(s.error, ValueError)", MANAGER.replace("return kind is not None and", "return False and")),
    Right("own exception", ACCOUNT, "try:\n    Account().deposit(5).withdraw(7)\nexcept InsufficientFunds as error:\n    assert error.missing == 2 and str(error) == '2 is missing'\nelse:\n    assert False", ACCOUNT.replace("n - self.balance)", "n)")),
    Right("own exception of a base", "class Empty(KeyError): pass\ndef pop(): raise Empty('no')", "try:\n    pop()\n    raise AssertionError('nothing was raised')\nexcept KeyError as error:\n    assert isinstance(error, Empty) and error.args == ('no',)", "class Empty(KeyError): pass\ndef pop(): raise KeyError('no')"),
    Right("exception of the library", "import json\ndef parse(s): return json.loads(s)", "import json\ntry:\n    parse('{')\nexcept json.JSONDecodeError:\n    pass\nelse:\n    assert False", "def parse(s): raise KeyError(s)"),
    Right("next", "def naturals():\n    n = 0\n    while True:\n        yield n\n        n += 1", "g = naturals()\nassert next(g) == 0 and next(g) == 1 and next(g) == 2", "def naturals():\n    while True: yield 0"),
    Right("endless generator", "def naturals():\n    n = 1\n    while True: yield n; n += 1", "from itertools import islice\nassert list(islice(naturals(), 3)) == [1, 2, 3]", "def naturals(): return iter([1, 2])"),
    Right("end of an iterator", "def once(x): yield x", "g = once(5)\nassert next(g) == 5 and next(g, None) is None", "def once(x): yield x; yield x"),
    Right("list of its own kind", STACK, "s = Stack()\ns.push(1).push(2)\nassert s == [1, 2] and len(s) == 2 and s[-1] == 2 and s + [3] == [1, 2, 3]", STACK.replace("append(x)", "insert(0, x)")),
    Right("function that is handed over", "def twice(f, x): return f(f(x))", "assert twice(lambda v: v + 3, 1) == 7 and twice(len, [[0]]) == 1 if False else twice(lambda v: v * 2, 5) == 20", "def twice(f, x): return f(x)"),
    Right("function that remembers", "def each(xs, f):\n    for x in xs: f(x)", "seen = []\neach([1, 2], seen.append)\nassert seen == [1, 2]", "def each(xs, f): f(xs)"),
    Right("decorator", "import functools\ndef memo(f):\n    cache = {}\n    @functools.wraps(f)\n    def inner(n):\n        if n not in cache: cache[n] = f(n)\n        return cache[n]\n    return inner", "calls = []\n@memo\ndef square(n):\n    calls.append(n)\n    return n * n\nassert square(3) == 9 and square(3) == 9 and calls == [3] and square.__name__ == 'square'", "def memo(f): return f"),
    Right("object of the test", "def total(node):\n    n = 0\n    while node is not None: n += node.value; node = node.next\n    return n", "class Node:\n    def __init__(self, value, next=None): self.value, self.next = value, next\nassert total(Node(1, Node(2, Node(3)))) == 6", "def total(node): return node.value"),
    Right("linked list that is turned", "def turn(node):\n    last = None\n    while node: node.next, last, node = last, node, node.next\n    return last", "class Node:\n    def __init__(self, value, next=None): self.value, self.next = value, next\nhead = turn(Node(1, Node(2)))\nassert head.value == 2 and head.next.value == 1 and head.next.next is None", "def turn(node): return node"),
    Right("pytest", "def f(x): return x + 1", "def test_one():\n    assert f(1) == 2\n\ndef test_two():\n    assert f(2) == 3", "def f(x): return 2"),
    Right("class of pytest", "def f(x): return x + 1", "class TestF:\n    def setup_method(self): self.x = 4\n    def test_f(self): assert f(self.x) == 5", "def f(x): return 2"),
    Right("unittest", "def f(x):\n    if x < 0: raise ValueError(x)\n    return x + 1", "import unittest\n\nclass TestF(unittest.TestCase):\n    def setUp(self): self.x = 1\n    def test_one(self): self.assertEqual(f(self.x), 2)\n    def test_error(self):\n        with self.assertRaises(ValueError): f(-1)\n\nif __name__ == '__main__':\n    unittest.main()", "def f(x): return x + 1"),
    Right("a check that is not called", "def square(x): return x * x", "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 9", "def square(x): return 2 * x"),
]  # fmt: skip
