"""An open transaction with every verb of the store: what each promises is told where it is written."""

from __future__ import annotations

from syncd.store import attention as _attention
from syncd.store import clients as _clients
from syncd.store import erasure as _erasure
from syncd.store import gauges as _gauges
from syncd.store import journal as _journal
from syncd.store import mirror as _mirror
from syncd.store import outbox as _outbox
from syncd.store import pages as _pages
from syncd.store import progress as _progress
from syncd.store import retention as _retention
from syncd.store.work import Work


class Tx(Work):
    """Lists in, lists or mappings out; no verb costs one statement per row."""

    get_meta = _progress.get_meta
    set_meta = _progress.set_meta
    new_ids = _progress.new_ids
    systems = _progress.systems
    put_system = _progress.put_system
    put_cycle = _progress.put_cycle
    last_cycle = _progress.last_cycle
    cycles = _progress.cycles
    cycle = _progress.cycle
    put_walk = _progress.put_walk
    last_walks = _progress.last_walks
    walks = _progress.walks
    walk_in = _progress.walk_in

    records = _mirror.records
    mirror = _mirror.mirror
    digests = _mirror.digests
    put_records = _mirror.put_records
    touch_records = _mirror.touch_records
    unseen = _mirror.unseen
    missing = _mirror.missing
    count_records = _mirror.count_records
    recent = _mirror.recent
    count_recent = _mirror.count_recent
    changed_since = _mirror.changed_since
    unlinked = _mirror.unlinked
    set_keys = _mirror.set_keys
    by_keys = _mirror.by_keys
    sharers = _mirror.sharers
    key_counts = _mirror.key_counts

    page_digests = _pages.page_digests
    put_page = _pages.put_page
    forget_page = _pages.forget_page
    recall_page = _pages.recall_page
    kept_page = _pages.kept_page
    sliced_page = _pages.sliced_page
    touch_shown = _pages.touch_shown

    client = _clients.client
    clients = _clients.clients
    count_clients = _clients.count_clients
    put_clients = _clients.put_clients
    dirty = _clients.dirty
    mark_dirty = _clients.mark_dirty
    mark_dirty_by_records = _clients.mark_dirty_by_records
    mark_dirty_by_standing = _clients.mark_dirty_by_standing
    mark_all_dirty = _clients.mark_all_dirty
    resolve_alias = _clients.resolve_alias
    aliases = _clients.aliases
    bundles = _clients.bundles
    put_links = _clients.put_links
    link = _clients.link
    owners = _clients.owners
    links_of = _clients.links_of
    known_only_in = _clients.known_only_in
    forget_records = _clients.forget_records
    links_since = _clients.links_since
    move_links = _clients.move_links
    put_standings = _clients.put_standings
    standings = _clients.standings
    standings_in = _clients.standings_in
    counts = _clients.counts
    drop_standings = _clients.drop_standings
    add_apart = _clients.add_apart
    remove_apart = _clients.remove_apart
    aparts = _clients.aparts
    put_merge = _clients.put_merge
    merge = _clients.merge
    merges = _clients.merges

    put_writes = _outbox.put_writes
    writes = _outbox.writes
    write = _outbox.write
    waiting = _outbox.waiting
    claim = _outbox.claim
    open_writes = _outbox.open_writes

    add_changes = _journal.add_changes
    changes = _journal.changes
    add_conflicts = _journal.add_conflicts
    put_conflict = _journal.put_conflict
    conflicts = _journal.conflicts
    conflict = _journal.conflict
    put_hold = _journal.put_hold
    holds = _journal.holds
    hold = _journal.hold
    holds_of = _journal.holds_of
    is_held = _journal.is_held
    held_keys = _journal.held_keys
    put_holds = _journal.put_holds
    hold_by_key = _journal.hold_by_key
    add_audit = _journal.add_audit
    audit = _journal.audit
    add_suppressed = _erasure.add_suppressed
    suppressed = _erasure.suppressed
    erase = _erasure.erase

    count_open_writes = _gauges.count_open_writes
    count_open_conflicts = _gauges.count_open_conflicts
    count_open_holds = _gauges.count_open_holds
    count_present = _gauges.count_present
    last_complete = _gauges.last_complete

    purge_walks = _retention.purge_walks
    purge_cycles = _retention.purge_cycles
    purge_writes = _retention.purge_writes
    purge_conflicts = _retention.purge_conflicts
    purge_history = _retention.purge_history

    open_conflicts = _attention.open_conflicts
    open_holds = _attention.open_holds
    parked_writes = _attention.parked_writes
    waiting_for_a_person = _attention.waiting_for_a_person
    outbox_counts = _attention.outbox_counts
    worst_counts = _attention.worst_counts
    failing_clients = _attention.failing_clients
    sent_since = _attention.sent_since
    walks_since = _attention.walks_since
    cycles_before = _attention.cycles_before
