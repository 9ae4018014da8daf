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
    /// How often compaction has rewritten what is in it; 0 for one that was appended to.
    let generation: UInt16
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

    /// The segment called `name`: that of its first entry alone, or with a generation (see ``name(_:generation:)``).
    init(group: GroupID, base name: LogIndex, salt: UInt64, root: String, state: State = State()) {
        self.group = group
        base = Self.base(of: name)
        generation = Self.generation(of: name)
        self.salt = salt
        directory = Self.directory(of: group, root: root)
        path = directory + "/" + Self.fileName(name)
        self.state = Mutex(state)
    }

    // MARK: Names

    /// What stands for the segment in indices: no two files that a group has at one time have the same.
    var name: LogIndex { Self.name(base, generation: generation) }

    /// Indices up to here can be the base of a rewritten segment; the bits above hold the generation.
    static let generationShift: UInt64 = 48

    /// The name of a segment: the base, with the generation in the upper 16 bits.
    static func name(_ base: LogIndex, generation: UInt16) -> LogIndex {
        LogIndex(base.rawValue | UInt64(generation) << generationShift)
    }

    /// The first entry of the segment called `name`.
    static func base(of name: LogIndex) -> LogIndex { LogIndex(name.rawValue & (1 << generationShift - 1)) }

    /// The generation of the segment called `name`.
    static func generation(of name: LogIndex) -> UInt16 {
        UInt16(truncatingIfNeeded: name.rawValue >> generationShift)
    }

    /// The generation behind `generation`; they wrap, and 0 is for segments that were appended to.
    static func generation(after generation: UInt16) -> UInt16 { generation == .max ? 1 : generation + 1 }

    /// Whether a rewritten segment of generation `first` is younger than one of `second`.
    static func isYounger(_ first: UInt16, than second: UInt16) -> Bool {
        guard first != 0, second != 0 else { return first != 0 }
        return Int16(bitPattern: first &- second) > 0
    }

    /// The directory of a group below the data directory `root`.
    static func directory(of group: GroupID, root: String) -> String { "\(root)/groups/\(group.rawValue)" }

    /// The file name of a segment, such as `00000000000000000042.seg`, or `00000000000000000042-00003.seg` with a generation.
    static func fileName(_ name: LogIndex) -> String {
        let generation = generation(of: name)
        let suffix = generation == 0 ? ".seg" : "-" + padded(UInt64(generation), 5) + ".seg"
        return padded(base(of: name).rawValue, 20) + suffix
    }

    private static func padded(_ number: UInt64, _ count: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
    }

    /// The name that a file name stands for; nil for other files.
    static func name(ofFileName file: String) -> LogIndex? {
        guard file.hasSuffix(".seg") else { return nil }
        let parts = file.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts[0].utf8.count == 20, let base = UInt64(parts[0]),
            base >> generationShift == 0
        else { return nil }
        guard parts.count == 2 else { return LogIndex(base) }
        guard parts[1].utf8.count == 5, let generation = UInt16(parts[1]), generation > 0 else { return nil }
        return name(LogIndex(base), generation: generation)
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
