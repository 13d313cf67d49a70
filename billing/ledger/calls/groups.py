"""The calls that a batch of events may touch, as links between reports connect them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from billing.ledger.calls.identity import Place, Report, may_agree, split
from billing.ledger.calls.standing import Call

MOST_SHARING = 50
"""An id that more reports give within an hour is no call's own, but a constant or a session's. It links no
further reports, since linked reports are compared with each other."""

Bookings = list[tuple[str, Place, int]]
"""What the ledger books, as values to compare: event ids, places and nano-dollars."""


class Group:
    """The reports that links connect: of one call, or of several if some contradict each other."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self.reports = list(reports)
        self._calls: list[Call] | None = None

    @property
    def calls(self) -> list[Call]:
        if self._calls is None:
            self._calls = [Call(reports) for reports in split(self.reports)]
        return self._calls

    @property
    def bookings(self) -> Bookings:
        """In ascending order."""
        return sorted(
            (standing.event_id, place, nanos)
            for call in self.calls
            for standing, place, nanos in call.bookings
        )

    def grow(self, reports: Iterable[Report]) -> None:
        """Add reports, or take note that those it has have changed."""
        self.reports += reports
        self._calls = None


class Calls:
    """The calls that a batch may touch. Reports are added one by one, in the order of their events."""

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}
        """By event id."""
        self.ids: defaultdict[str, set[str]] = defaultdict(set)
        """The call ids of each report, by its event id."""
        self.new_ids: list[tuple[str, Report]] = []
        self.alike: list[tuple[Report, Report]] = []
        """Outer and inner reports that may be of one call; nobody has said yet that they are."""
        self.shared_by_too_many: set[str] = set()
        """Call ids of stored reports that link no further ones."""
        self._group_of: dict[str, Group] = {}
        self._sharing: defaultdict[str, list[Report]] = defaultdict(list)
        self._touched: dict[str, None] = {}

    def restore(self, reports: Iterable[Report], ids: Iterable[tuple[str, str]]) -> None:
        """Add what is stored: reports, and (call id, event id) pairs of the ids that the batch has."""
        groups: defaultdict[int | None, list[Report]] = defaultdict(list)
        for report in reports:
            groups[report.group_pk].append(report)
            self.reports[report.event_id] = report
        for members in groups.values():
            self._group_of |= dict.fromkeys((report.event_id for report in members), Group(members))
            self._touch_if_split_otherwise(members)
        for call_id, event_id in ids:
            self._index(call_id, self.reports[event_id])

    def _touch_if_split_otherwise(self, members: list[Report]) -> None:
        """Earlier versions of this product took all linked reports for one call."""
        calls = self._group_of[members[0].event_id].calls
        if any(report.call_pk != call.pk for call in calls for report in call.reports):
            self.touch(members)

    def touched(self) -> Iterator[Group]:
        """The groups that have new reports or links."""
        groups = {id(self._group_of[event_id]): self._group_of[event_id] for event_id in self._touched}
        return iter(groups.values())

    def touch(self, reports: Iterable[Report]) -> None:
        """Look at these reports' calls again, because their jobs have changed."""
        self._touched |= dict.fromkeys(report.event_id for report in reports)

    def add(self, report: Report, call_ids: Iterable[str]) -> bool:
        """Add a report, or further ids of one that is known; return whether the bookings change."""
        event_id = report.event_id
        before: Bookings = []
        if event_id not in self.reports:
            self.reports[event_id] = report
            self._group_of[event_id] = Group([report])
            self._touched[event_id] = None
            if report.line:
                before += self._group_of[event_id].bookings
        else:
            report = self.reports[event_id]
            before += self._group_of[event_id].bookings
        for call_id in call_ids:
            if call_id in self.ids[event_id]:
                continue
            self._index(call_id, report)
            self.new_ids.append((call_id, report))
            for other in self._linked_by(call_id):
                if other is not report and may_agree(report, other):
                    before += self._join(report, other)
        return sorted(before) != self._group_of[event_id].bookings

    def group_of(self, report: Report) -> Group:
        return self._group_of[report.event_id]

    def link(self, outer: Report, inner: Report, *, is_copy: bool = False) -> None:
        """Link two reports that are of one call: the span of one encloses the other's, or they are copies."""
        if is_copy:
            self.unite(outer, inner)
        else:
            self._join(inner, outer)
        if not inner.is_nested:
            inner.is_nested = True
            self._touched[inner.event_id] = None
            self._group_of[inner.event_id].grow(())

    def unite(self, first: Report, copy: Report) -> None:
        """Make two reports one call, whether or not they agree: they are copies of the same."""
        self._join(copy, first)
        root, other = self._root(first), self._root(copy)
        if root is not other:
            other.copy_of = root.event_id
            self._touched[other.event_id] = None
            self._group_of[other.event_id].grow(())

    def _root(self, report: Report) -> Report:
        while report.copy_of:
            report = self.reports[report.copy_of]
        return report

    def _linked_by(self, call_id: str) -> list[Report]:
        sharing = self._sharing[call_id]
        too_many = call_id in self.shared_by_too_many or len(sharing) > MOST_SHARING
        return [] if too_many else sharing

    def _index(self, call_id: str, report: Report) -> None:
        self.ids[report.event_id].add(call_id)
        self._sharing[call_id].append(report)

    def _join(self, report: Report, other: Report) -> Bookings:
        """Make the groups of two reports one; return what the other group has booked."""
        mine, others = self._group_of[report.event_id], self._group_of[other.event_id]
        if mine is others:
            return []
        booked = others.bookings
        small, large = sorted((mine, others), key=lambda group: len(group.reports))
        large.grow(small.reports)
        self._group_of |= dict.fromkeys((moved.event_id for moved in small.reports), large)
        self._touched[report.event_id] = None
        return booked
