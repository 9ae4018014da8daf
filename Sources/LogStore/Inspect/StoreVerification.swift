// SPDX-License-Identifier: Apache-2.0
//
// StoreVerification.swift
// Verifies a whole store, or some of its groups, and goes on behind everything it cannot read.

internal import Model
internal import RocksKV

/// What a verification looked at and found.
public struct Verification: Sendable {
    /// All findings, group by group.
    public var findings = WalkFindings()
    /// Partitions that were looked at.
    public var partitions = 0
    /// Groups of state machines that were looked at.
    public var commandLogs = 0
    /// Whether a broker was seen to write meanwhile.
    public var isLive = false
}

/// How far a verification is.
public struct VerificationProgress: Sendable {
    /// The group that is looked at.
    public var group: String
    /// Groups that are done.
    public var groupsDone = 0
    /// Groups there are.
    public var groups: Int
    /// Bytes of frames that were looked at.
    public var bytes = 0
}

extension StoreReader {
    /// Verifies the groups for which `isWanted` holds; without one the whole store, with files that belong to nothing.
    ///
    /// While a broker writes, damage is believed when a second look, at a later moment, finds it again.
    ///
    /// - Cost: reads all segments once. Memory does not depend on their size.
    public func verify(
        _ depth: WalkDepth, only isWanted: ((InspectedGroup) -> Bool)? = nil,
        _ progress: (VerificationProgress) -> Void = { _ in }
    ) throws(StoreError) -> Verification {
        var result = Verification()
        try checkJournal(true)
        addStoreFindings(&result)
        let ids = knownGroups(&result.findings)
        var state = VerificationProgress(group: "", groups: ids.count)
        for id in ids {
            let found = try verify(id, depth, isWanted, &result) { name, bytes in
                state.group = name
                state.bytes += bytes
                progress(state)
            }
            result.findings.add(found)
            state.groupsDone += 1
        }
        if isWanted == nil { addOrphans(&result) }
        return result
    }

    /// The journal as a whole, and whether the store was closed.
    private func addStoreFindings(_ result: inout Verification) {
        if let damage = journalDamage { result.findings.add(damage) }
        if journal.endsTorn {
            result.findings.add(
                StoreWarning(
                    kind: .journalTorn, label: nil, group: nil, file: "journal",
                    text: "the journal ends in a block that was not written whole; it was never acknowledged"))
        }
    }

    /// The groups of the index; when that cannot be read, those that have files.
    private func knownGroups(_ findings: inout WalkFindings) -> [GroupID] {
        do throws(StoreError) {
            return try groupIDs()
        } catch {
            findings.add(databaseDamage("the list of groups cannot be read: \(error)", nil))
            let folders = (try? system.list(directory + "/groups")) ?? []
            return folders.compactMap { UInt64($0).map(GroupID.init(rawValue:)) }.sorted()
        }
    }

    func databaseDamage(_ reason: String, _ group: GroupID?) -> Damage {
        Damage(
            kind: .database, label: nil, group: group, file: "rocksdb", position: nil, index: nil, offset: nil,
            reason: reason)
    }

    private func verify(
        _ id: GroupID, _ depth: WalkDepth, _ isWanted: ((InspectedGroup) -> Bool)?, _ result: inout Verification,
        _ progress: (String, Int) -> Void
    ) throws(StoreError) -> WalkFindings {
        var former: WalkFindings?
        for _ in 0..<Self.attemptsMax {
            var found = WalkFindings()
            do throws(StoreError) {
                // A group that was deleted meanwhile has nothing to be verified.
                guard let group = try group(id) else { return found }
                if let isWanted, !isWanted(group) { return found }
                if former == nil {
                    if group.isPartition { result.partitions += 1 } else { result.commandLogs += 1 }
                }
                var check = GroupCheck(self, group)
                try check.run(depth) { progress(group.name, $0) }
                found = check.findings
            } catch .index(let reason) {
                found.add(databaseDamage("the records of \(id) cannot be read: \(reason)", id))
            } catch .file(let operation, let path, let code) {
                found.add(unreadable(operation, path, code, id))
            }
            if let former { found.keepDamage(alsoIn: former) }
            if found.isClean || found.damageCount == former?.damageCount { return found }
            let hasChanged = (try? refresh()) ?? false
            if !hasChanged { return found }
            result.isLive = true
            former = found
        }
        return former ?? WalkFindings()
    }

    private func unreadable(_ operation: String, _ path: String, _ code: Int32, _ id: GroupID) -> Damage {
        Damage(
            kind: .frame, label: nil, group: id, file: relative(path), position: 0, index: nil, offset: nil,
            reason: "cannot \(operation) the file: error \(code) of the system")
    }

    /// Files and records of groups that do not exist.
    private func addOrphans(_ result: inout Verification) {
        do throws(StoreError) {
            for warning in try census().warnings { result.findings.add(warning) }
        } catch {
            result.findings.add(databaseDamage("files cannot be told from orphans: \(error)", nil))
        }
        for family in IndexFamily.allCases where family != .groupMeta && family != .store {
            do throws(StoreError) {
                let known = Set(try groupIDs())
                let owners = try indexed { () throws(IndexError) in try index.owners(in: family) }
                for owner in owners where !known.contains(owner) {
                    result.findings.add(
                        StoreWarning(
                            kind: .orphanRecords, label: nil, group: owner, file: "rocksdb",
                            text: "\(family.name) has records of \(owner), which does not exist"))
                }
            } catch {
                result.findings.add(databaseDamage("\(family.name) cannot be read: \(error)", nil))
            }
        }
    }
}
