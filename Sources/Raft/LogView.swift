// SPDX-License-Identifier: Apache-2.0
//
// LogView.swift
// Index arithmetic over the log: what is compacted, flushed, committed, appended. Holds payloads only until flushed.

internal import DequeModule
internal import Model

extension Raft {
    /// What the core knows of its own log.
    ///
    /// Invariants: `base.index <= committed <= last`; `base.index <= flushed <= last`; runs of terms cover `(base,
    /// last]`; a slot is kept for every entry above `min(flushed, committed)`, with its body while the entry is not
    /// flushed.
    struct LogView<Payload: Sendable>: Sendable {
        /// The place before the first entry; what lies below is compacted.
        private(set) var base: Position
        /// The last entry, `base.index` when there is none.
        private(set) var last: LogIndex
        /// The last entry on stable storage, with all before it.
        private(set) var flushed: LogIndex
        /// The last entry known to be committed.
        private(set) var committed: LogIndex
        /// Bytes of the entries above `committed` that were appended since the start.
        private(set) var uncommittedBytes = 0
        /// Runs of terms, ascending.
        ///
        /// The first may begin at or below the base after trimming.
        private(set) var runs: [TermStart]
        private var slots: Deque<Slot> = []
        private var fences: [WriteFence] = []

        /// The most fences kept; while so many writes are superseded and unreported, nothing more may be cut.
        static var fencesMax: Int { 64 }

        private struct Slot: Sendable {
            let byteCount: Int
            /// Nil once flushed.
            var body: Entry<Payload>.Body?
        }

        /// Takes over what storage recovered; all of it is flushed.
        init(_ state: DurableState) {
            precondition(state.base.index <= state.lastIndex, "base \(state.base) after last \(state.lastIndex)")
            precondition(
                state.base.index <= state.committed && state.committed <= state.lastIndex,
                "committed \(state.committed) outside \(state.base)...\(state.lastIndex)")
            base = state.base
            last = state.lastIndex
            flushed = state.lastIndex
            committed = state.committed
            runs = state.termStarts
            precondition(
                last == base.index || runs.first.map { $0.start <= base.index.next } == true, "terms have a gap")
            for (earlier, later) in zip(runs, runs.dropFirst()) {
                precondition(earlier.term < later.term && earlier.start < later.start, "terms out of order: \(runs)")
            }
            precondition(runs.last.map { $0.start <= last } ?? true, "a term begins after the last entry")
        }

        /// Index and term of the last entry.
        var lastPosition: Position { Position(index: last, term: runs.last?.term ?? base.term) }

        /// The term of the entry at `index`; nil when it is compacted or not there yet.
        ///
        /// Cost: logarithmic in terms.
        func term(at index: LogIndex) -> Term? {
            if index > last || index < base.index { return nil }
            if index == base.index { return base.term }
            return runs.term(at: index)
        }

        /// The greatest index `<= index` whose entry has a term `<= term`: where logs that differ at `index` may still
        /// agree.
        func latestIndex(atOrBefore index: LogIndex, termAtMost term: Term) -> LogIndex {
            var candidate = min(index, last)
            for run in runs.reversed() where run.start <= candidate {
                if run.term <= term { return candidate }
                candidate = run.start.previous
            }
            return max(candidate, base.index)
        }

        // MARK: - Changes

        /// Adds an entry at the end.
        mutating func append(_ entry: Entry<Payload>) {
            precondition(entry.index == last.next, "entry \(entry.index) after \(last)")
            precondition(entry.term >= lastPosition.term, "term \(entry.term) after \(lastPosition)")
            if runs.last.map({ entry.term > $0.term }) ?? true {
                runs.append(TermStart(term: entry.term, start: entry.index))
            }
            last = entry.index
            uncommittedBytes += entry.byteCount
            slots.append(Slot(byteCount: entry.byteCount, body: entry.body))
        }

        /// Whether ``truncate(from:)`` may be called now.
        var canTruncate: Bool { fences.count < Self.fencesMax }

        /// Removes the entries from `index` on.
        ///
        /// Writes of them may still be reported: a fence remembers that (A-B-A).
        mutating func truncate(from index: LogIndex) {
            precondition(index > committed, "truncating \(index), committed is \(committed)")
            precondition(index <= last, "truncating \(index) after \(last)")
            addFence(from: index)
            let removed = min(last - index + 1, slots.count)
            for slot in slots.suffix(removed) { uncommittedBytes -= slot.byteCount }
            slots.removeLast(removed)
            last = index.previous
            flushed = min(flushed, last)
            while let run = runs.last, run.start > last { runs.removeLast() }
        }

        /// Moves the commit index forward.
        mutating func commit(through index: LogIndex) {
            precondition(index > committed && index <= last, "commit \(index) outside (\(committed), \(last)]")
            let slotBase = LogIndex(last.rawValue - UInt64(slots.count))
            for position in max(0, committed - slotBase)..<max(0, index - slotBase) {
                uncommittedBytes -= slots[position].byteCount
            }
            committed = index
            dropSlots()
        }

        /// Notes what ``persisted(_:term:)`` does, for storage that reports no superseded writes.
        mutating func persistedNow(_ index: LogIndex, term: Term) -> Bool {
            fences.removeAll()
            return persisted(index, term: term)
        }

        /// Notes that the write whose last entry is `index`, of term `term`, is on stable storage, and all before it.
        ///
        /// Returns whether `flushed` moved. Reports of superseded writes count only for what they share with the log.
        mutating func persisted(_ index: LogIndex, term: Term) -> Bool {
            var limit = index
            if let stale = fences.firstIndex(where: { $0.covers(index, term: term) }) {
                // The report may belong to a write from before that fence, and so from before all later ones.
                for fence in fences[stale...] { limit = min(limit, fence.from.previous) }
                // The last write before it: reports that come later are of writes that came later.
                if fences[stale].endsWith(index, term: term) { fences.removeFirst(stale + 1) }
            } else {
                if let newest = fences.lastIndex(where: { index >= $0.from }) { fences.removeFirst(newest + 1) }
                guard self.term(at: index) == term else { return false }
            }
            guard limit > flushed else { return false }
            let slotBase = LogIndex(last.rawValue - UInt64(slots.count))
            for position in max(0, flushed - slotBase)..<max(0, limit - slotBase) { slots[position].body = nil }
            flushed = limit
            dropSlots()
            return true
        }

        /// Forgets the entries up to `index`, which the shell has compacted.
        mutating func trim(through index: LogIndex) {
            guard index > base.index, let term = term(at: index) else { return }
            precondition(index <= committed && index <= flushed, "trimming \(index): \(committed), \(flushed)")
            base = Position(index: index, term: term)
            let covering = runs.lastIndex { $0.start <= index.next } ?? 0
            runs.removeFirst(covering)
            if last == index { runs.removeAll() }
        }

        /// Replaces the whole log by a snapshot that ends at `position`.
        mutating func reset(to position: Position) {
            precondition(position.index > committed, "snapshot \(position) is not after \(committed)")
            addFence(from: position.index.next)
            base = position
            last = position.index
            flushed = last
            committed = last
            runs = []
            slots.removeAll()
            uncommittedBytes = 0
        }

        // MARK: - Entries

        /// Consecutive entries from `index` on that still have their bodies, up to `bytesMax` but at least one; empty
        /// when the first has none.
        func bodies(from index: LogIndex, bytesMax: Int) -> (entries: [Entry<Payload>], bytes: Int) {
            guard index > flushed, index <= last else { return ([], 0) }
            var entries: [Entry<Payload>] = []
            var bytes = 0
            var position = slots.count - (last - index) - 1
            var next = index
            while position < slots.count, let body = slots[position].body, let term = term(at: next) {
                let size = slots[position].byteCount
                if !entries.isEmpty && bytes + size > bytesMax { break }
                entries.append(Entry(index: next, term: term, byteCount: size, body: body))
                bytes += size
                position += 1
                next = next.next
            }
            return (entries, bytes)
        }

        // MARK: - Private

        private mutating func dropSlots() {
            let first = LogIndex(last.rawValue - UInt64(slots.count))
            let done = min(flushed, committed) - first
            if done > 0 { slots.removeFirst(done) }
        }

        #if MUTATIONS
            /// A deliberate bug: reports of what was cut are believed.
            mutating func forgetFences() { fences.removeAll() }
        #endif

        private mutating func addFence(from index: LogIndex) {
            guard index <= last, flushed < last else { return }
            precondition(canTruncate, "\(fences.count) superseded writes unreported")
            var covered = runs
            while covered.count > 1 && covered[1].start <= index { covered.removeFirst() }
            fences.append(WriteFence(from: index, last: last, runs: covered))
        }

        /// Stops when an invariant is broken.
        func checkInvariants() {
            precondition(
                base.index <= committed && committed <= last, "base \(base), commit \(committed), last \(last)")
            precondition(base.index <= flushed && flushed <= last, "base \(base), flushed \(flushed), last \(last)")
            precondition(uncommittedBytes >= 0, "\(uncommittedBytes) uncommitted bytes")
        }
    }

    /// Entries that were cut from the log while writes were unreported: a report that names one of them may be stale.
    struct WriteFence: Sendable {
        /// The first index that was cut.
        let from: LogIndex
        /// The last index that was cut.
        let last: LogIndex
        /// The terms of what was cut.
        let runs: [TermStart]

        /// Whether a write that ended with this entry may have been issued before the cut.
        func covers(_ index: LogIndex, term: Term) -> Bool {
            index >= from && index <= last && runs.term(at: index) == term
        }

        /// Whether the last write before the cut ended with this entry.
        func endsWith(_ index: LogIndex, term: Term) -> Bool { index == last && covers(index, term: term) }
    }
}

extension [Raft.TermStart] {
    /// The term of the run that holds `index`, nil when all runs begin after it.
    func term(at index: LogIndex) -> Term? {
        guard let newest = last else { return nil }
        if index >= newest.start { return newest.term }
        var low = 0
        var high = count - 1
        while low < high {
            let middle = (low + high) / 2
            if self[middle].start <= index { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : self[low - 1].term
    }
}
