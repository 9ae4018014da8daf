// SPDX-License-Identifier: Apache-2.0
//
// CompactionRule.swift
// When the log of a state machine has grown enough to drop its beginning. A value: it does nothing by itself.

internal import Model

/// Decides how far a log of commands may be dropped behind the applied index.
///
/// Invariant: what it names was applied when it named it.
public struct CompactionRule: Sendable {
    /// Entries that stay, for a look at what happened last.
    public var keptEntries = 4096
    /// Entries that go at once; a compaction syncs the index database, so it should be rare.
    public var stepEntries = 4096
    /// Bytes of commands after which everything goes that was there when the count began.
    public var stepBytes = 16 << 20

    private var bytes = 0
    private var mark = LogIndex.zero

    /// The rule of the broker's own groups.
    public init() {}

    /// The most entries a log has when every entry is offered to ``due(first:applied:)``.
    public var entriesMax: Int { keptEntries + stepEntries }

    /// Starts to count behind an entry that is applied already.
    mutating func begin(at applied: LogIndex) { mark = applied }

    /// Notes an applied command.
    mutating func applied(byteCount: Int) { bytes += byteCount }

    /// The last entry that should go now; nil when none should.
    mutating func due(first: LogIndex, applied: LogIndex) -> LogIndex? {
        var target = LogIndex.zero
        if applied - first + 1 >= entriesMax { target = LogIndex(applied.rawValue - UInt64(keptEntries)) }
        if bytes >= stepBytes {
            target = max(target, mark)
            mark = applied
            bytes = 0
        }
        return target >= first ? target : nil
    }
}
