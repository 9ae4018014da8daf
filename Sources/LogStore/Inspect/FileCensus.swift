// SPDX-License-Identifier: Apache-2.0
//
// FileCensus.swift
// Counts the files of a data directory by what they are for, and names those that belong to nothing.

internal import Model

/// The files of a data directory.
public struct FileCensus: Sendable, Hashable {
    /// Files of one kind.
    public struct Tally: Sendable, Hashable {
        /// How many there are.
        public var files = 0
        /// The sum of their lengths.
        public var bytes = 0
    }

    /// Segments of groups that exist.
    public var segments = Tally()
    /// Files of the journal.
    public var journal = Tally()
    /// Files of deleted segments, to be used again.
    public var recycled = Tally()
    /// Snapshots on their way here.
    public var staging = Tally()
    /// Compacted segments that are being written.
    public var compacting = Tally()
    /// Files of the index database.
    public var index = Tally()
    /// What belongs to nothing.
    public var unknown = Tally()

    /// All of them.
    public var total: Tally {
        [segments, journal, recycled, staging, compacting, index, unknown].reduce(into: Tally()) {
            $0.files += $1.files
            $0.bytes += $1.bytes
        }
    }
}

extension StoreReader {
    /// Counts the files, and warns of those that belong to nothing.
    ///
    /// A running broker may make and delete files meanwhile: what is odd is looked at again.
    public func census() throws(StoreError) -> (files: FileCensus, warnings: [StoreWarning]) {
        var found = try census(Set(groupIDs()))
        guard !found.warnings.isEmpty, try refresh() else { return found }
        let first = Set(found.warnings)
        found = try census(Set(groupIDs()))
        found.warnings.removeAll { !first.contains($0) }
        return found
    }

    private func census(_ known: Set<GroupID>) throws(StoreError) -> (files: FileCensus, warnings: [StoreWarning]) {
        var files = FileCensus()
        var warnings: [StoreWarning] = []
        for name in try system.list(directory).sorted() {
            switch name {
            case "LOCK", "index.synced", "ballast": break
            case "rocksdb": try tally(name, &files.index)
            case "journal": try tally(name, &files.journal, &warnings, &files.unknown) { $0.hasSuffix(".jnl") }
            case "recycled": try tally(name, &files.recycled, &warnings, &files.unknown) { UInt64($0) != nil }
            case "compacting": try tally(name, &files.compacting)
            case "staging":
                for folder in try system.list(directory + "/staging").sorted(by: Self.byNumber) {
                    try tally("staging/" + folder, &files.staging)
                }
            case "groups":
                for folder in try system.list(directory + "/groups").sorted(by: Self.byNumber) {
                    try census(of: folder, known, &files, &warnings)
                }
            default: note(name, &files.unknown, &warnings)
            }
        }
        return (files, warnings)
    }

    private static func byNumber(_ a: String, _ b: String) -> Bool { (UInt64(a) ?? .max, a) < (UInt64(b) ?? .max, b) }

    private func census(
        of folder: String, _ known: Set<GroupID>, _ files: inout FileCensus, _ warnings: inout [StoreWarning]
    ) throws(StoreError) {
        let path = "groups/" + folder
        guard let number = UInt64(folder) else { return note(path, &files.unknown, &warnings) }
        guard known.contains(GroupID(rawValue: number)) else {
            warnings.append(
                StoreWarning(
                    kind: .orphanFiles, label: nil, group: GroupID(rawValue: number), file: path,
                    text: "\(path) belongs to no group; the next start removes it"))
            return try tally(path, &files.unknown)
        }
        try tally(path, &files.segments, &warnings, &files.unknown) { Segment.name(ofFileName: $0) != nil }
    }

    private func tally(
        _ folder: String, _ tally: inout FileCensus.Tally, _ warnings: inout [StoreWarning],
        _ unknown: inout FileCensus.Tally,
        where isKnown: (String) -> Bool
    ) throws(StoreError) {
        for name in try system.list("\(directory)/\(folder)").sorted() {
            if isKnown(name) {
                count("\(folder)/\(name)", &tally)
            } else {
                note("\(folder)/\(name)", &unknown, &warnings)
            }
        }
    }

    private func tally(_ folder: String, _ tally: inout FileCensus.Tally) throws(StoreError) {
        for name in try system.list("\(directory)/\(folder)") { count("\(folder)/\(name)", &tally) }
    }

    private func note(_ path: String, _ unknown: inout FileCensus.Tally, _ warnings: inout [StoreWarning]) {
        count(path, &unknown)
        warnings.append(
            StoreWarning(kind: .unknownFile, label: nil, group: nil, file: path, text: "\(path) is no part of a store"))
    }

    /// Files that are gone meanwhile count nothing.
    private func count(_ path: String, _ tally: inout FileCensus.Tally) {
        guard let size = try? system.open("\(directory)/\(path)", .read).size() else { return }
        tally.files += 1
        tally.bytes += size
    }
}

extension StoreReader {
    /// The lengths of the segment files of `group`, oldest first.
    public func segmentFiles(of group: InspectedGroup) throws(StoreError) -> [Int] {
        let folder = Segment.directory(of: group.id, root: directory)
        let names = try system.list(folder).compactMap(Segment.name(ofFileName:))
        let sorted = names.sorted { (Segment.base(of: $0), $0) < (Segment.base(of: $1), $1) }
        return sorted.compactMap { try? system.open("\(folder)/\(Segment.fileName($0))", .read).size() }
    }
}
