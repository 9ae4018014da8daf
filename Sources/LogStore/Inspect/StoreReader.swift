// SPDX-License-Identifier: Apache-2.0
//
// StoreReader.swift
// Opens a data directory without changing it, also that of a running broker: the index database as a secondary view, the
// segments and the journal for reading only, and no lock.

public import Model
internal import NIOCore
internal import RocksKV

/// A data directory, open for looking.
///
/// Belongs to one thread.
///
/// What it shows is the state of one moment: the index of that moment, the journal from the index's applied mark on, and the
/// segments as they are when they are read. While a broker writes, ``refresh()`` moves on to a later moment.
public final class StoreReader {
    /// The data directory.
    public let directory: String
    /// Whose store it is and how it was closed.
    public private(set) var meta: StoreMeta

    let system: any FileSystem = PosixFileSystem()
    let index: IndexDatabase
    let payloads: PayloadCheck
    private(set) var journal: JournalView
    /// The group whose payloads in the journal are kept.
    private var kept: GroupID?
    /// Whether the batches in the journal are checked when it is read.
    private var checksJournal = false

    /// How often something is read again that a running broker changes meanwhile.
    static let attemptsMax = 8

    /// Opens the store in `directory`.
    ///
    /// `scratch` is an existing directory elsewhere, for the database's own log.
    ///
    /// - Throws: ``StoreError/formatVersion(found:supported:)`` when it is not a data directory or a newer one, and
    ///   ``StoreError/corrupt(_:)`` when its index cannot be read.
    public init(_ directory: String, scratch: String) throws(StoreError) {
        let path = directory + "/rocksdb"
        // Says why a directory cannot be read, where asking for one file says only that it is not there.
        _ = try system.open(directory, .read)
        let names = try system.list(directory)
        guard names.contains("rocksdb"), try system.list(path).contains("CURRENT") else {
            let isLost = !(try system.list(directory + "/groups")).isEmpty
            let found = isLost ? "groups without an index database" : "none: \(directory) is not a data directory"
            throw .formatVersion(found: found, supported: LogStore.formatVersion)
        }
        let index = try Self.openIndex(path, scratch, system)
        guard let meta = try Self.storeMeta(index) else {
            throw .formatVersion(found: "none: the index has no identity", supported: LogStore.formatVersion)
        }
        guard meta.identity.formatVersion == LogStore.formatVersion else {
            throw .formatVersion(found: "\(meta.identity.formatVersion)", supported: LogStore.formatVersion)
        }
        self.directory = directory
        self.index = index
        self.meta = meta
        payloads = try PayloadCheck()
        journal = JournalView(applied: meta.journalApplied.rawValue)
        try loadJournal()
    }

    /// Opens the database; a running broker may delete files between the steps of that.
    private static func openIndex(
        _ path: String, _ scratch: String, _ system: any FileSystem
    ) throws(StoreError) -> IndexDatabase {
        let number = UInt64.random(in: 0 ... .max)
        let folder = "\(scratch)/logstore-inspect-\(number)"
        try system.makeDirectory(folder)
        // What is open stays usable, and nothing is left behind however the process ends.
        defer { removeFolder(folder, system) }
        var attempt = 0
        while true {
            attempt += 1
            do throws(IndexError) {
                return try IndexDatabase(at: path, for: .following(scratch: folder))
            } catch {
                if attempt < attemptsMax { continue }
                guard case .database(.corrupt(let reason)) = error else { throw StoreError(error) }
                throw .corrupt(Corruption(group: nil, file: path, position: 0, reason: reason))
            }
        }
    }

    /// The records of the store; a version they do not know is that of a newer release.
    private static func storeMeta(_ index: IndexDatabase) throws(StoreError) -> StoreMeta? {
        do throws(IndexError) {
            return try index.storeMeta()
        } catch {
            guard case .damaged(_, _, .unknownVersion(let version)) = error else { throw StoreError(error) }
            throw .formatVersion(found: "\(version)", supported: LogStore.formatVersion)
        }
    }

    private static func removeFolder(_ folder: String, _ system: any FileSystem) {
        for name in (try? system.list(folder)) ?? [] { try? system.remove(folder + "/" + name) }
        try? system.remove(folder)
    }

    /// Lets go of the files.
    public func close() { index.close() }

    // MARK: The moment

    /// Moves on to the present moment; returns whether the broker wrote anything since the last one.
    @discardableResult
    public func refresh() throws(StoreError) -> Bool {
        let before = try fingerprint()
        try catchUp()
        try loadJournal()
        return try fingerprint() != before
    }

    /// Keeps the payloads of `group` that are in the journal, so that its content can be shown.
    func keep(_ group: GroupID) throws(StoreError) {
        guard kept != group else { return }
        kept = group
        try loadJournal()
    }

    /// Checks the batches in the journal from now on, or not.
    func checkJournal(_ isWanted: Bool) throws(StoreError) {
        guard checksJournal != isWanted else { return }
        checksJournal = isWanted
        try loadJournal()
    }

    private func fingerprint() throws(StoreError) -> [UInt64] {
        let sequence = try indexed { () throws(IndexError) in try index.latestSequence() }
        return [sequence, journal.applied, journal.nextSequence]
    }

    private func catchUp() throws(StoreError) {
        try indexed { () throws(IndexError) in try index.tryCatchUp() }
        if let newer = try indexed({ () throws(IndexError) in try index.storeMeta() }) { meta = newer }
    }

    /// Reads the journal.
    ///
    /// A broker that writes may overtake the reading: damage is believed when it is seen twice.
    private func loadJournal() throws(StoreError) {
        var former: JournalView?
        for attempt in 0..<Self.attemptsMax {
            if attempt > 0 { try catchUp() }
            let files = try JournalReader(
                system: system, directory: directory + "/journal", journalID: LogStore.journalID(meta.identity))
            journal = try JournalView(
                files, from: meta.journalApplied.rawValue, keeping: kept, check: checksJournal ? payloads : nil)
            guard let damage = journal.damage else { return }
            if let former, former.damage == damage, former.applied == journal.applied { return }
            former = journal
        }
    }

    /// The damage in the journal; a damaged block that a broker overwrites meanwhile is none.
    var journalDamage: Damage? {
        journal.damage.map {
            Damage(
                kind: .journal, label: nil, group: nil, file: relative($0.file), position: $0.position, index: nil,
                offset: nil, reason: $0.reason)
        }
    }

    // MARK: Groups

    /// The groups, in order.
    public func groupIDs() throws(StoreError) -> [GroupID] {
        try indexed { () throws(IndexError) in try index.groups() }
    }

    /// What is known of `id`; nil when there is no such group.
    public func group(_ id: GroupID) throws(StoreError) -> InspectedGroup? {
        let record = try indexed { () throws(IndexError) in try index.loadGroup(id) }
        guard let meta = record.meta else { return nil }
        let journaled = journal.hardStates[id]
        return InspectedGroup(
            id: id, meta: meta, hardState: journaled ?? record.hardState, hardStateIsInJournal: journaled != nil,
            last: record.last, termStarts: record.termStarts)
    }

    /// The group that people call `name`: `topic/partition`, `controller`, `coordinator`, or a number.
    public func group(named name: String) throws(StoreError) -> InspectedGroup? {
        for id in try groupIDs() {
            let meta = try indexed { () throws(IndexError) in try index.groupMeta(of: id) }
            let label = meta?.label.map { TopicPartition(topic: $0.topic, partition: $0.partition) }
            let called = InspectedGroup.name(of: id, label)
            if called == name || "\(id.rawValue)" == name { return try group(id) }
        }
        return nil
    }

    /// Passes the groups to `body`, in order, until it returns false.
    public func forEachGroup(_ body: (InspectedGroup) throws(StoreError) -> Bool) throws(StoreError) {
        for id in try groupIDs() {
            guard let group = try group(id) else { continue }
            guard try body(group) else { return }
        }
    }

    // MARK: Files

    /// A path as findings show it: below the data directory.
    func relative(_ path: String) -> String {
        path.hasPrefix(directory + "/") ? String(path.dropFirst(directory.utf8.count + 1)) : path
    }

    /// Opens a segment for reading; nil when it does not exist, or not any more.
    func segmentFile(_ path: String) throws(StoreError) -> (any File)? {
        guard system.exists(path) else { return nil }
        do throws(StoreError) {
            return try system.open(path, .read)
        } catch .file(_, _, let code) where code == Self.notThere {
            return nil
        }
    }

    /// ENOENT, which has the same number everywhere.
    private static let notThere: Int32 = 2
}
