// SPDX-License-Identifier: Apache-2.0
//
// ClusterView.swift
// The cluster as one listener of one broker tells clients of it: addresses, leaders, replicas in and out of sync.

import KafkaProtocol
import Model
import Settings

/// What a client can be told, as this event loop knows it now.
struct ClusterView {
    private let node: NodeID
    private let image: ClusterImage
    private let leaders: LeaderTable
    /// The address of this broker on the client's listener.
    private let me: BrokerAddress
    private let rack: String?

    init(node: NodeID, image: ClusterImage, leaders: LeaderTable, me: BrokerAddress, rack: String?) {
        self.node = node
        self.image = image
        self.leaders = leaders
        self.me = me
        self.rack = rack
    }

    // MARK: Brokers

    /// The brokers that clients may connect to; a broker that is no part of a cluster names itself.
    var brokers: [(address: BrokerAddress, rack: String?)] {
        let live = image.liveBrokers.map { (address(of: $0), $0.rack) }
        return live.isEmpty ? [(me, rack)] : live
    }

    /// The broker's address; nil when clients should not be sent there.
    func address(of broker: NodeID) -> BrokerAddress? {
        if broker == node { return me }
        guard let record = image.brokers[broker], record.health == .active else { return nil }
        return address(of: record)
    }

    /// How to reach a broker that an answer names as a leader (KIP-951); nil when clients should not be sent there.
    func endpoint(of broker: NodeID) -> NodeEndpoint? {
        address(of: broker).map { address in
            let rack = broker == node ? self.rack : image.brokers[broker]?.rack
            return NodeEndpoint(nodeID: address.id.rawValue, host: address.host, port: address.port, rack: rack)
        }
    }

    /// On this broker's own listener it may be known by another address than the registered one.
    private func address(of record: BrokerRecord) -> BrokerAddress {
        if record.id == node { return me }
        let endpoint = record.registration.kafka
        return BrokerAddress(id: record.id, host: endpoint.host, port: endpoint.port)
    }

    /// The broker that administrative requests are best sent to; any broker takes them.
    var controllerID: Int32 {
        guard let controller = leaders[.controller]?.leader ?? image.controller, address(of: controller) != nil else {
            return -1
        }
        return controller.rawValue
    }

    /// The brokers in a rack.
    func nodes(inRack rack: String) -> [NodeID] {
        if image.brokers.isEmpty { return self.rack == rack ? [node] : [] }
        return image.liveBrokers.filter { $0.rack == rack }.map(\.id)
    }

    // MARK: Leaders

    /// Who leads a group; nil while nobody is known to, or clients cannot be sent there.
    func leader(of group: GroupID) -> BrokerAddress? {
        leaders[group]?.leader.flatMap { leaders.absent.contains($0) ? nil : address(of: $0) }
    }

    /// The leader and its epoch as hints; -1 for what is not known.
    ///
    /// A leader whose connection to this broker was just lost is not known: a client that is sent to it looks for it for a
    /// second before it asks again (librdkafka 2.16), one that is told of nobody asks again at once.
    func leaderHint(_ handle: PartitionHandle) -> (leader: Int32, epoch: Int32) {
        let known = leadership(of: handle)
        guard let known, let leader = known.leader, address(of: leader) != nil, !leaders.absent.contains(leader) else {
            return (-1, known?.term.leaderEpoch ?? -1)
        }
        return (leader.rawValue, known.term.leaderEpoch)
    }

    /// What is known of a partition's leader: by a replica that leads here, before the news of it has come around.
    private func leadership(of handle: PartitionHandle) -> Leadership? {
        let known = leaders[handle.group]
        let own = handle.leaderEpoch
        guard own >= 0, own > known?.term.leaderEpoch ?? -1 else { return known }
        return Leadership(term: Term(UInt64(own)), leader: node)
    }

    /// Who leads a partition, for the answer to who asked another broker; nil when that is not known here either.
    ///
    /// The leader's address is added to `endpoints` unless it is there.
    func currentLeader(_ handle: PartitionHandle, _ endpoints: inout [NodeEndpoint]) -> LeaderAndEpoch? {
        let hint = leaderHint(handle)
        guard hint.leader >= 0, let endpoint = endpoint(of: NodeID(rawValue: hint.leader)) else { return nil }
        if !endpoints.contains(where: { $0.nodeID == hint.leader }) { endpoints.append(endpoint) }
        return LeaderAndEpoch(leaderID: hint.leader, leaderEpoch: hint.epoch)
    }

    /// A partition with its replicas, as Metadata shows it.
    ///
    /// As long as the leader has not said which replicas are in sync, only it is: who looks after the cluster must not take
    /// replicas for copies that are still being filled. A replica whose log is lost is never in sync.
    func describe(_ handle: PartitionHandle, _ record: PartitionRecord) -> MetadataResponse.Partition {
        let hint = leaderHint(handle)
        let replicas = record.hosts
        let reachable = replicas.filter { image.brokers.isEmpty || address(of: $0) != nil }
        var inSync = leadership(of: handle)?.inSync ?? []
        if inSync.isEmpty, hint.leader >= 0 { inSync = [NodeID(rawValue: hint.leader)] }
        inSync.removeAll { !reachable.contains($0) || record.rejoining.contains($0) }
        return MetadataResponse.Partition(
            errorCode: hint.leader < 0 ? .leaderNotAvailable : .none, index: handle.index.rawValue,
            leaderID: hint.leader, leaderEpoch: hint.epoch, replicaNodes: replicas.map(\.rawValue),
            isrNodes: inSync.map(\.rawValue),
            offlineReplicas: replicas.filter { !reachable.contains($0) }.map(\.rawValue))
    }
}

extension Broker {
    /// The cluster as the client of `call` is told of it; on the loop of the connection.
    func view(for call: Call) -> ClusterView {
        let shard = shards.shard(on: call.loop)
        return ClusterView(
            node: node, image: shard.image, leaders: shard.leaders, me: call.advertised, rack: settings.node.rack)
    }
}
