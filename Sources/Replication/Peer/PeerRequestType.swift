// SPDX-License-Identifier: Apache-2.0
//
// PeerRequestType.swift
// The requests brokers make of each other, and why one failed.

/// What a broker asks another to do.
///
/// Raw values are on the wire; a number is never given to something else.
public enum PeerRequestType: UInt16, Sendable, Hashable, CaseIterable {
    /// A broker joins the cluster.
    case registerBroker = 1001
    /// A broker is alive, with its load.
    case brokerHeartbeat = 1002
    /// A replica of a partition is to be started.
    case startPartitionRaftGroup = 1003
    /// A replica of a partition is to be stopped.
    case stopPartitionRaftGroup = 1004
    /// The controller is to carry out a command.
    case proposeClusterCommand = 1005
    /// A Kafka request that the receiver must answer.
    case forwardKafkaRequest = 1006
    /// Whether a broker can be reached.
    case probeBroker = 1007
    /// What a snapshot consists of.
    case snapshotManifest = 1008
    /// A piece of a snapshot.
    case snapshotRange = 1009
    /// Everything the receiver knows of who leads.
    case leadersSnapshot = 1010
    /// A leader is to hand over.
    case transferLeadership = 1011
    /// Where a broker with an empty directory begins.
    case placeBroker = 1012
    /// The coordinator of a share group is to tell or keep how far it is in a partition.
    case shareState = 1013

    /// How it is called in metrics and logs.
    public var name: String {
        switch self {
        case .registerBroker: "register_broker"
        case .brokerHeartbeat: "broker_heartbeat"
        case .startPartitionRaftGroup: "start_partition_raft_group"
        case .stopPartitionRaftGroup: "stop_partition_raft_group"
        case .proposeClusterCommand: "propose_cluster_command"
        case .forwardKafkaRequest: "forward_kafka_request"
        case .probeBroker: "probe_broker"
        case .snapshotManifest: "snapshot_manifest"
        case .snapshotRange: "snapshot_range"
        case .leadersSnapshot: "leaders_snapshot"
        case .transferLeadership: "transfer_leadership"
        case .placeBroker: "place_broker"
        case .shareState: "share_state"
        }
    }

    /// The connection it takes: pieces of snapshots must not delay heartbeats.
    var lane: PeerLane {
        switch self {
        case .snapshotManifest, .snapshotRange: .bulk
        default: .control
        }
    }
}

/// The two connections to a peer.
enum PeerLane: UInt8, Sendable, Hashable, CaseIterable {
    /// Votes, heartbeats, answers, who leads, requests.
    case control = 0
    /// Appends and pieces of snapshots.
    case bulk = 1
}

/// Why a call failed.
public enum PeerCallError: Error, Sendable, Hashable {
    /// No address of the broker is known; nothing was sent.
    case unknownPeer
    /// There is no connection; nothing was sent.
    case notConnected
    /// The connection was lost before the answer came: the outcome is not known.
    case disconnected
    /// No answer came in time: the outcome is not known.
    case timedOut
    /// Too much waits already, here or there; nothing was done.
    case busy
    /// The request or its answer is larger than a frame may be.
    case tooLarge
    /// The peer does not serve this type of request.
    case unknownType
    /// The peer serves it, but not to this broker.
    case notPermitted
    /// The peer refused or failed, in its own words.
    case failed(String)
}

extension PeerCallError: CustomStringConvertible {
    /// A sentence for operators.
    public var description: String {
        switch self {
        case .unknownPeer: "no address of the broker is known"
        case .notConnected: "the broker is not connected"
        case .disconnected: "the connection was lost before the answer"
        case .timedOut: "no answer in time"
        case .busy: "too many requests wait for the broker"
        case .tooLarge: "the request or its answer is larger than a frame may be"
        case .unknownType: "the broker does not know this request"
        case .notPermitted: "the broker does not take this request from here"
        case .failed(let reason): reason
        }
    }
}
