// SPDX-License-Identifier: Apache-2.0
//
// Controller.swift
// The shell of the cluster's state machine: validates administrative requests, proposes commands, and makes this
// broker host what the applied metadata says. Confined to its event loop.

import KafkaProtocol
package import LogStore
package import Logging
package import Model
import NIOCore
package import Replication
package import Settings

/// The controller of this broker.
///
/// A request is answered after its command was applied *and* this broker's shards serve the result, so that a client
/// that creates a topic and produces to it at once succeeds.
package final class Controller: StateMachineLogic {
    package typealias Done = (AdminRefusal?) -> Void

    package private(set) var state: ClusterState
    package let settings: BrokerSettings
    package let node: NodeID
    let machine: ReplicatedStateMachine
    let host: PartitionHost
    let clock: Clock
    let logger: Logger
    private(set) var isLeading = false
    private var random: any RandomNumberGenerator
    private var changes: [LogIndex: ClusterChange] = [:]
    private var onReady: ((HostFailure?) -> Void)?
    /// Topics whose creation was proposed and not applied yet: a second request for one of them waits for the first.
    var creating: [String: [Done]] = [:]
    /// Group numbers that proposals under way have taken.
    var reservedGroups: UInt64 = 0
    var onTopicDeleted: ((String) -> Void)?
    var onStorageFailure: ((StoreError) -> Void)?

    package init(
        state: ClusterState, machine: ReplicatedStateMachine, settings: BrokerSettings, node: NodeID,
        host: PartitionHost, random: any RandomNumberGenerator, clock: Clock, logger: Logger
    ) {
        self.state = state
        self.machine = machine
        self.settings = settings
        self.node = node
        self.host = host
        self.random = random
        self.clock = clock
        self.logger = logger
    }

    /// Takes part in the controller's group and calls `ready` when this broker leads it, has a cluster id, and hosts
    /// every partition of the stored metadata.
    package func start(ready: @escaping (HostFailure?) -> Void) {
        onReady = ready
        machine.start(logic: self)
    }

    // MARK: State machine

    package func apply(_ command: [UInt8], at index: LogIndex) -> [StateWrite] {
        let decoded: ClusterEntry
        do {
            decoded = try ClusterEntry(decoding: command)
        } catch {
            preconditionFailure("the committed controller command at \(index) cannot be read: \(error)")
        }
        let change = state.apply(decoded)
        if isLeading { changes[index] = change }
        return ClusterRecords.writes(after: change, state: state)
    }

    package func stateMachineLeads(term: Term) {
        isLeading = true
        guard let ready = onReady else { return }
        onReady = nil
        if state.clusterID == nil {
            let id = settings.node.clusterID ?? makeTopicID().description
            return propose(.initialize(clusterID: id), actor: Self.ownActor) { [self] refusal, _ in
                if let refusal { return ready(.refused(refusal)) }
                host.hostAll(state, then: ready)
            }
        }
        host.hostAll(state, then: ready)
    }

    package func stateMachineFollows() { isLeading = false }

    package func stateMachineFailed(_ error: StoreError) {
        isLeading = false
        logger.critical("The controller's log failed", metadata: ["error": "\(error)"])
        onStorageFailure?(error)
        onReady?(.store(error, partition: nil))
        onReady = nil
    }

    // MARK: Proposing

    /// The actor of commands that the controller gives by itself.
    static let ownActor = "controller"

    /// Proposes a command; `then` runs after it was applied, with what it changed.
    ///
    /// `actor` is who wants it, for the operation log.
    func propose(
        _ command: ClusterCommand, actor: String, then: @escaping (AdminRefusal?, ClusterChange) -> Void
    ) {
        guard machine.replica.leadingTerm != nil else {
            return then(AdminRefusal(.notController, "this broker does not lead the controller's group"), .none)
        }
        let entry = ClusterEntry(time: clock.wallTime(), actor: actor, command: command)
        machine.propose(entry.encoded()) { [self] result in
            switch result {
            case .success(let index):
                let change = changes.removeValue(forKey: index) ?? .none
                if case .refused(let reason) = change { return then(AdminRefusal(reason), change) }
                then(nil, change)
            case .failure(let error):
                then(AdminRefusal(ErrorMapping.code(of: error), "\(error)"), .none)
            }
        }
    }

    func makeTopicID() -> TopicID {
        // Ids whose text begins with a dash look like options to command-line tools, so they are not used.
        while true {
            let id = TopicID(high: random.next(), low: random.next())
            if !id.description.hasPrefix("-"), id != .zero { return id }
        }
    }

    // MARK: Producer ids

    /// Grants a block of producer ids.
    func allocateProducerIDs(then: @escaping (ProducerIDBlock?) -> Void) {
        let command = ClusterCommand.allocateProducerIDs(first: state.nextProducerID, count: ProducerIDBlock.size)
        propose(command, actor: Self.ownActor) { _, change in
            guard case .producerIDsAllocated(let first, let count) = change else { return then(nil) }
            then(ProducerIDBlock(first: first, count: count))
        }
    }
}
