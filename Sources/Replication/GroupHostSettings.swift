// SPDX-License-Identifier: Apache-2.0
//
// GroupHostSettings.swift
// The times and limits of the replicas of one broker, and what is counted of them.

public import Raft
public import Telemetry

/// How the replicas of a broker work together with those of others.
public struct GroupHostSettings: Sendable {
    /// The unit of the core's time.
    public var tickMilliseconds = 50
    /// What replicas are made with: an election after one to two seconds of silence, five heartbeats in that time.
    public var raft = Raft.Settings()
    /// Ticks that the replicas of a new group wait for the one that should lead it, before an election is due.
    ///
    /// Brokers start thousands of new replicas one after the other, each at its own pace.
    public var founderTicks = 80
    /// Snapshots and cold catch-up.
    public var recovery = RecoverySettings()

    /// The defaults.
    public init() {
        raft.electionTicks = 20
        raft.heartbeatTicks = 4
        raft.transferBlockTicks = 20
        raft.transferPrepareTicks = 200
        #if MUTATIONS
            raft.mutation = Plant.core
        #endif
    }
}

/// What recoveries may cost.
public struct RecoverySettings: Sendable {
    /// Replicas of this broker that fetch a snapshot at a time.
    public var groupsMax = 4
    /// Bytes a second that this broker reads from disk for others, and fetches for itself.
    public var bytesPerSecond = 128 << 20
    /// The bytes of one piece of a snapshot.
    public var rangeBytes = 4 << 20
    /// How long a piece may take.
    public var rangeTimeout = Duration.seconds(10)
    /// Ticks that a snapshot is kept for a peer that does not ask for it.
    public var idleTicksMax = 600

    /// The defaults.
    public init() {}
}

/// What is counted of the replicas of one event loop.
public struct GroupHostMetrics: Sendable {
    /// Replicas of groups with more than one.
    public let groups: Gauge
    /// Messages to peers.
    public let sent: Counter
    /// Messages from peers.
    public let received: Counter
    /// Messages of groups that are not here.
    public let unrouted: Counter
    /// Heartbeats that changed nothing, and were answered without asking the core.
    public let quietHeartbeats: Counter
    /// Times the core of a replica was entered for a tick.
    public let ticks: Counter
    /// Elections that replicas of this broker won.
    public let elections: Counter
    /// Snapshots that were made for peers.
    public let snapshotsProvided: Counter
    /// Snapshots that replaced a log here.
    public let snapshotsInstalled: Counter
    /// Bytes of snapshots that were fetched.
    public let snapshotBytes: Counter
    /// Entries that were read from disk for peers.
    public let catchUpEntries: Counter

    /// Registers the metrics; without a registry they count for themselves.
    public init(_ registry: MetricRegistry? = nil) {
        func counter(_ name: String, _ help: String) -> Counter {
            registry?.counter("goulette_replication_" + name, help: help) ?? Counter()
        }
        groups =
            registry?.gauge("goulette_replication_groups", help: "Replicas of groups with more than one replica.")
            ?? Gauge()
        sent = counter("messages_sent_total", "Raft messages to other brokers.")
        received = counter("messages_received_total", "Raft messages from other brokers.")
        unrouted = counter("messages_unrouted_total", "Raft messages of groups that are not on this broker.")
        quietHeartbeats = counter("quiet_heartbeats_total", "Heartbeats that changed nothing.")
        ticks = counter("ticks_total", "Ticks that the consensus cores of replicas were given.")
        elections = counter("elections_won_total", "Elections that replicas of this broker won.")
        snapshotsProvided = counter("snapshots_provided_total", "Snapshots that were made for other brokers.")
        snapshotsInstalled = counter("snapshots_installed_total", "Snapshots that replaced a log here.")
        snapshotBytes = counter("snapshot_bytes_total", "Bytes of snapshots that were fetched.")
        catchUpEntries = counter("catch_up_entries_total", "Stored entries that were read for other brokers.")
    }
}
