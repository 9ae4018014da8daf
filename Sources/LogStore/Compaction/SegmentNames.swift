// SPDX-License-Identifier: Apache-2.0
//
// SegmentNames.swift
// Which files of a group are its log, when some were replaced by compacted ones and are not gone yet.

internal import Model

/// The files of a group by what they are.
struct SegmentNames: Hashable, Sendable {
    /// Segments of the log, by base.
    private(set) var current: [LogIndex] = []
    /// Files whose entries a younger compacted segment covers.
    private(set) var replaced: [LogIndex] = []

    /// Sorts `names` out; `lastEntry` says how far a compacted segment reaches, nil when its footer cannot be read.
    ///
    /// A compacted segment gets its name when it is whole, so it counts from then on. It covers whole segments, and one that is
    /// made of compacted ones is younger than all of them.
    init<Failure: Error>(_ names: [LogIndex], lastEntry: (LogIndex) throws(Failure) -> LogIndex?) throws(Failure) {
        var covers: [(name: LogIndex, last: LogIndex)] = []
        for name in names where Segment.generation(of: name) > 0 {
            if let last = try lastEntry(name) { covers.append((name, last)) }
        }
        for name in names {
            let (base, generation) = (Segment.base(of: name), Segment.generation(of: name))
            let isReplaced = covers.contains { cover in
                cover.name != name && Segment.base(of: cover.name) <= base && base <= cover.last
                    && Segment.isYounger(Segment.generation(of: cover.name), than: generation)
            }
            if isReplaced { replaced.append(name) } else { current.append(name) }
        }
        current.sort { (Segment.base(of: $0), $0) < (Segment.base(of: $1), $1) }
    }
}
