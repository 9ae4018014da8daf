// SPDX-License-Identifier: Apache-2.0
//
// Segment.swift
// One segment file: its name, its salt, and how far it is allocated.

internal import Model
internal import Synchronization

/// A segment of one group's log.
///
/// Shared by the threads that write and read it; positions are decided by the log.
final class Segment: Sendable {
    let group: GroupID
    /// The index of its first entry, which names the file.
    let base: LogIndex
    /// What every frame in it carries.
    let salt: UInt64
    /// The directory of the group.
    let directory: String
    /// The file.
    let path: String
    let state: Mutex<State>

    /// What is known of the file.
    struct State: Sendable {
        /// The bytes that the file has; zeros or bytes of an earlier life beyond the frames.
        var allocated = 0
        /// Whether it was made, or found.
        var exists = false
        /// Whether its name is durable.
        var isNamed = false
        /// Whether the log does not need it any more; then nobody writes it.
        var isDeleted = false
    }

    init(group: GroupID, base: LogIndex, salt: UInt64, root: String, state: State = State()) {
        self.group = group
        self.base = base
        self.salt = salt
        directory = Self.directory(of: group, root: root)
        path = directory + "/" + Self.fileName(base)
        self.state = Mutex(state)
    }

    /// The directory of a group below the data directory `root`.
    static func directory(of group: GroupID, root: String) -> String { "\(root)/groups/\(group.rawValue)" }

    /// The file name of a segment, such as `00000000000000000042.seg`.
    static func fileName(_ base: LogIndex) -> String {
        let digits = String(base.rawValue)
        return String(repeating: "0", count: max(0, 20 - digits.utf8.count)) + digits + ".seg"
    }

    /// The base index that a file name stands for; nil for other files.
    static func base(ofFileName name: String) -> LogIndex? {
        guard name.utf8.count == 24, name.hasSuffix(".seg") else { return nil }
        return UInt64(name.dropLast(4)).map { LogIndex($0) }
    }

    /// The size that a file which must hold `needed` bytes should be given, `allocated` being what it has.
    ///
    /// Doubles from 64 KiB on, in steps of at most 16 MiB: small partitions stay small and large ones grow seldom.
    static func allocation(for needed: Int, allocated: Int) -> Int {
        guard needed > allocated else { return allocated }
        var size = max(allocated, 64 << 10)
        while size < needed { size += min(max(size, 64 << 10), 16 << 20) }
        return size
    }
}
