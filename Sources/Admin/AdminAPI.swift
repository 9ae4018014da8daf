// SPDX-License-Identifier: Apache-2.0
//
// AdminAPI.swift
// What the admin server asks the broker: closures, so that this target does not know it. What is nil is not served.

/// The questions and orders behind `/v1/…`.
///
/// A closure may answer on any thread, exactly once, and must not block.
public struct AdminAPI: Sendable {
    /// How a closure answers.
    public typealias Answer<Value: Sendable> = @Sendable (Result<Value, AdminProblem>) -> Void

    /// `GET /v1/cluster`.
    public var cluster: (@Sendable (@escaping Answer<ClusterView>) -> Void)?
    /// `GET /v1/brokers`, and `GET /v1/brokers/{id}` from the same list.
    public var brokers: (@Sendable (@escaping Answer<[BrokerView]>) -> Void)?
    /// `GET /v1/operations?after=&limit=`: the entries with higher ids, in order.
    public var operations: (@Sendable (_ after: UInt64, _ limit: Int, @escaping Answer<[OperationView]>) -> Void)?
    /// `POST /v1/brokers/{id}/drain` and the other ``BrokerOrder``s.
    public var order: (@Sendable (_ broker: Int32, BrokerOrder, @escaping Answer<BrokerView>) -> Void)?
    /// `GET /v1/topics/{name}/leader?unreachable=1,2`.
    public var leaders:
        (@Sendable (_ topic: String, _ unreachable: [Int32], @escaping Answer<TopicLeadersView>) -> Void)?
    /// `POST /v1/rebalance`.
    public var rebalance: (@Sendable (@escaping Answer<RebalanceView>) -> Void)?

    /// Serves nothing yet.
    public init() {}
}

/// Why the broker gives no answer.
public struct AdminProblem: Error, Equatable, Sendable {
    /// How it is told in HTTP.
    public enum Kind: Int, Sendable {
        /// The request makes no sense.
        case invalid = 400
        /// There is no such thing.
        case notFound = 404
        /// It exists, but cannot be done in its state.
        case conflict = 409
        /// Not now; try again.
        case unavailable = 503
    }

    /// What kind of problem.
    public let kind: Kind
    /// A sentence for an operator.
    public let message: String

    /// States a problem.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// What an operator can want of a broker.
public enum BrokerOrder: String, CaseIterable, Sendable {
    /// Leaders go elsewhere, as before a restart.
    case drain
    /// It takes part again.
    case resume
    /// Leaders and replicas go elsewhere; then it is forgotten.
    case decommission
}

/// The cluster at a glance.
public struct ClusterView: Codable, Equatable, Sendable {
    /// Its identity; nil before it has one.
    public var clusterID: String?
    /// The broker that answers.
    public var answeredBy: Int32
    /// Who leads the controller's group; nil when nobody is known to.
    public var controller: Int32?
    /// The voters of the controller's group.
    public var controllerVoters: [Int32]
    /// How many brokers are registered.
    public var brokers: Int
    /// How many of them are active.
    public var activeBrokers: Int
    /// Topics.
    public var topics: Int
    /// Partitions of all topics.
    public var partitions: Int
    /// Partitions without a known leader.
    public var leaderless: Int
    /// Partitions whose replicas are being changed.
    public var reassigning: Int
    /// The number of the last applied operation.
    public var lastOperation: UInt64

    /// Names every part.
    public init(
        clusterID: String?, answeredBy: Int32, controller: Int32?, controllerVoters: [Int32], brokers: Int,
        activeBrokers: Int, topics: Int, partitions: Int, leaderless: Int, reassigning: Int, lastOperation: UInt64
    ) {
        self.clusterID = clusterID
        self.answeredBy = answeredBy
        self.controller = controller
        self.controllerVoters = controllerVoters
        self.brokers = brokers
        self.activeBrokers = activeBrokers
        self.topics = topics
        self.partitions = partitions
        self.leaderless = leaderless
        self.reassigning = reassigning
        self.lastOperation = lastOperation
    }
}

/// A broker as the controller knows it.
public struct BrokerView: Codable, Equatable, Sendable {
    /// Its number.
    public var id: Int32
    /// Where clients connect.
    public var address: String
    /// Where brokers connect.
    public var peerAddress: String
    /// Where it stands.
    public var rack: String?
    /// `starting`, `active`, `draining` or `failed`.
    public var state: String
    /// What is wanted of it when it is draining.
    public var drain: String?
    /// Since when, in milliseconds since 1970.
    public var since: Int64
    /// Replicas that it has or is to have.
    public var replicas: Int
    /// Partitions it is known to lead.
    public var leaders: Int
    /// Whether it leads the controller's group.
    public var isController: Bool

    /// Names every part.
    public init(
        id: Int32, address: String, peerAddress: String, rack: String?, state: String, drain: String?, since: Int64,
        replicas: Int, leaders: Int, isController: Bool
    ) {
        self.id = id
        self.address = address
        self.peerAddress = peerAddress
        self.rack = rack
        self.state = state
        self.drain = drain
        self.since = since
        self.replicas = replicas
        self.leaders = leaders
        self.isController = isController
    }
}

/// One entry of the controller's log.
public struct OperationView: Codable, Equatable, Sendable {
    /// Rising without gaps.
    public var id: UInt64
    /// When it was proposed, in milliseconds since 1970.
    public var time: Int64
    /// Who asked.
    public var actor: String
    /// What kind of operation, as `createTopic`.
    public var kind: String
    /// What it was about, for people.
    public var detail: String
    /// The entry as it stands in the log, in base64: what it can be replayed from.
    public var entry: String

    /// Names every part.
    public init(id: UInt64, time: Int64, actor: String, kind: String, detail: String, entry: String) {
        self.id = id
        self.time = time
        self.actor = actor
        self.kind = kind
        self.detail = detail
        self.entry = entry
    }
}

/// Who leads a topic's partitions.
public struct TopicLeadersView: Codable, Equatable, Sendable {
    /// One partition.
    public struct Partition: Codable, Equatable, Sendable {
        /// Its number.
        public var partition: Int32
        /// Its leader; nil when nobody is known to lead.
        public var leader: Int32?
        /// Where the leader is for clients.
        public var address: String?
        /// The term of the leader.
        public var epoch: Int64

        /// Names every part.
        public init(partition: Int32, leader: Int32?, address: String?, epoch: Int64) {
            self.partition = partition
            self.leader = leader
            self.address = address
            self.epoch = epoch
        }
    }

    /// The topic's name.
    public var topic: String
    /// Its partitions in order.
    public var partitions: [Partition]
    /// The brokers that the caller cannot reach and the cluster cannot either; their leaders are being moved.
    public var failed: [Int32]
    /// The brokers that the caller cannot reach, and the cluster can.
    public var reachable: [Int32]

    /// Names every part.
    public init(topic: String, partitions: [Partition], failed: [Int32], reachable: [Int32]) {
        self.topic = topic
        self.partitions = partitions
        self.failed = failed
        self.reachable = reachable
    }
}

/// What a rebalance began.
public struct RebalanceView: Codable, Equatable, Sendable {
    /// Partitions that get other replicas, or another preferred leader.
    public var partitions: Int

    /// Names every part.
    public init(partitions: Int) { self.partitions = partitions }
}
