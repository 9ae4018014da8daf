// SPDX-License-Identifier: Apache-2.0
//
// CommandCheck.swift
// Verifies the log of a state machine: its entries lie in the index itself, and its applied state must join them.

internal import Model

/// Verifies a group whose entries are commands.
struct CommandCheck {
    let reader: StoreReader
    let group: InspectedGroup
    private(set) var findings = WalkFindings()
    /// The term of the last entry.
    private(set) var lastTerm: Term
    private var next: LogIndex
    private var terms: ArraySlice<TermStart>

    init(_ reader: StoreReader, _ group: InspectedGroup) {
        self.reader = reader
        self.group = group
        next = group.meta.firstIndex
        lastTerm = group.meta.previousTerm
        terms = group.termStarts[...]
    }

    /// Looks at every entry, in the index and then in the journal.
    mutating func run(_ progress: (Int) -> Void) {
        while let term = terms.first, term.firstIndex < group.meta.firstIndex {
            lastTerm = max(lastTerm, term.term)
            terms.removeFirst()
        }
        var entries = reader.index.pointers(of: group.id, from: group.meta.firstIndex)
        do throws(StoreError) {
            while let entry = try entries.peek() {
                entries.pop()
                take(entry)
                if case .inline(let bytes) = entry.pointer.content { progress(bytes.count) }
            }
        } catch {
            report(.database, "the entries cannot be read further: \(error)")
        }
        // The journal replaces what it has again.
        for frame in reader.journal.frames[group.id] ?? [] where frame.header.index >= next {
            guard frame.header.index == next else {
                report(.command, "the journal goes on with entry \(frame.header.index)")
                break
            }
            findings.frames += 1
            findings.bytes += Int(frame.header.rawLength)
            step(frame.header.index, frame.header.term)
        }
        if let term = terms.first {
            report(.termStart, "term \(term.term) is noted from entry \(term.firstIndex), behind the log's end")
        }
        checkApplied()
    }

    private mutating func report(_ kind: Damage.Kind, _ reason: String) {
        findings.add(group.damage(kind, "rocksdb", index: next, reason))
    }

    private mutating func take(_ entry: IndexedPointer) {
        if entry.index != next {
            report(.command, "the entries \(next) to \(entry.index.previous) are missing")
            while let term = terms.first, term.firstIndex < entry.index { terms.removeFirst() }
        }
        next = entry.index
        let kind = FrameKind(rawValue: entry.pointer.kind)
        if case .inline(let bytes) = entry.pointer.content {
            findings.bytes += bytes.count
            if kind == nil || kind == .footer || kind == .data {
                report(.command, "entry \(next) is of no kind that a command can have")
            } else if kind == .noop, !bytes.isEmpty {
                report(.command, "entry \(next) does nothing and has \(bytes.count) bytes")
            }
        } else {
            report(.command, "entry \(next) of a state machine points into a segment")
        }
        if let term = terms.first, term.firstIndex == entry.index {
            terms.removeFirst()
            if term.term != entry.pointer.term {
                report(.termStart, "term \(term.term) is noted here, the entry has term \(entry.pointer.term)")
            }
        } else if entry.pointer.term > lastTerm {
            report(.termStart, "the start of term \(entry.pointer.term) is not noted")
        }
        findings.frames += 1
        step(entry.index, entry.pointer.term)
    }

    private mutating func step(_ index: LogIndex, _ term: Term) {
        if term < lastTerm { report(.command, "entry \(index) has term \(term), the one before \(lastTerm)") }
        lastTerm = max(lastTerm, term)
        next = index.next
    }

    /// Rule R7: the applied state ends at or before the last entry, and not before the first; it stands for what was
    /// compacted away.
    private mutating func checkApplied() {
        let first = group.meta.firstIndex
        var hasState = false
        for family in StateFamily.allCases {
            do throws(IndexError) {
                guard let applied = try reader.index.applied(in: family, of: group.id) else { continue }
                hasState = true
                if applied.index >= next {
                    report(.state, "the state has entry \(applied.index) applied, the log ends with \(next.previous)")
                } else if applied.index.next < first {
                    report(.state, "the state ends with entry \(applied.index), the log begins with \(first)")
                }
            } catch {
                return report(.database, "the applied state cannot be read: \(error)")
            }
        }
        if !hasState, first > LogIndex(1) {
            report(.state, "the entries before \(first) were dropped, and no state stands for them")
        }
    }
}
