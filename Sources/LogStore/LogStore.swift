// SPDX-License-Identifier: Apache-2.0
//
// LogStore.swift
// One data directory: its lock, its index database, its journal and the threads that write.

public import Logging
public import Model
internal import NIOCore
public import Telemetry

/// The store of one broker.
public final class LogStore: Sendable {
    /// The index database, for applied state and facts of groups.
    public let metadata: IndexDatabase
    /// How the store was set up.
    public let settings: StoreSettings

    init(settings: StoreSettings, metadata: IndexDatabase) {
        self.settings = settings
        self.metadata = metadata
    }

    /// Opens the store, replays its journal and starts its threads.
    public static func open(
        _ settings: StoreSettings, metrics registry: MetricRegistry?, logger: Logger
    ) throws(StoreError) -> LogStore { throw .closed }

    /// Recovers the log of a partition, creating the group when it does not exist. Blocks on the disk; may be called from several
    /// threads, each for another group.
    public func recoverPartition(_ id: GroupID, settings: GroupLogSettings, label: GroupLabel? = nil) throws(StoreError) -> RecoveredGroup {
        throw .closed
    }
    /// Recovers a group whose entries are commands.
    public func recoverCommandLog(_ id: GroupID) throws(StoreError) -> RecoveredGroup { throw .closed }
    /// Binds a recovered log to its loop, on which this must be called.
    public func partitionLog(_ recovered: RecoveredGroup, owner: CompletionOwner) -> PartitionLog { PartitionLog(id: recovered.id) }
    /// Binds a recovered log to its loop, on which this must be called.
    public func commandLog(_ recovered: RecoveredGroup, owner: CompletionOwner) -> CommandLog { CommandLog(id: recovered.id) }
    /// Removes a group and its files. Its log must be closed. The records go at once, the files slowly.
    public func deleteGroup(_ id: GroupID) throws(StoreError) {}
    /// The groups that exist here.
    public func groups() throws(StoreError) -> [GroupID] { [] }
    /// Writes out everything, marks the store as cleanly closed and lets go of the directory. All logs must be closed.
    public func close() {}
}

/// What was found of one group, on its way to its loop.
public struct RecoveredGroup: Sendable {
    /// The group.
    public let id: GroupID
}
