// SPDX-License-Identifier: Apache-2.0
//
// AdminRefusal.swift
// What a client or an operator is told when the controller does not do what was asked.

package import KafkaProtocol
package import Model

/// An administrative request that was refused, with a sentence for the user.
package struct AdminRefusal: Error, Sendable {
    package let code: KafkaErrorCode
    package let message: String
    /// With `notController`: the broker that leads the controller's group, when it is known.
    package let controller: NodeID?

    package init(_ code: KafkaErrorCode, _ message: String, controller: NodeID? = nil) {
        self.code = code
        self.message = message
        self.controller = controller
    }

    /// What is said of a command that had no effect when it was applied.
    package init(_ refusal: ClusterRefusal) {
        switch refusal {
        case .topicExists(let name): self.init(.topicAlreadyExists, "Topic \(name) already exists")
        case .unknownTopic: self.init(.unknownTopicOrPartition, "The topic was deleted meanwhile")
        case .staleGroupNumbers, .staleProducerIDs:
            self.init(.operationNotAttempted, "Another change won the race; try again")
        case .unknownBroker(let node): self.init(.brokerIDNotRegistered, "Broker \(node) is not registered")
        case .staleIncarnation(let node):
            self.init(
                .operationNotAttempted,
                "Broker \(node) was started again since; the command was about its earlier life")
        case .retired(let node):
            self.init(
                .invalidRequest,
                "Broker \(node) was decommissioned; it comes back as a new one when its data directory is emptied")
        case .brokerInUse(let node, let count):
            self.init(.invalidRequest, "Broker \(node) holds replicas of \(count) partitions; decommission it first")
        case .unknownPartition(let group):
            self.init(.unknownTopicOrPartition, "No partition is stored by \(group)")
        case .invalidAssignment(let problem): self.init(.invalidReplicaAssignment, problem.message)
        case .reassignmentInProgress(let group):
            self.init(.reassignmentInProgress, "The replicas of \(group) are being changed already")
        case .noReassignment(let group):
            self.init(.noReassignmentInProgress, "The replicas of \(group) are not being changed")
        case .tooFewReplicas(let group):
            self.init(.notEnoughReplicas, "Too few other replicas of \(group) have their logs")
        case .wrongPhase(let group, let phase):
            self.init(.operationNotAttempted, "The reassignment of \(group) is \(phase) by now")
        }
    }
}

extension AssignmentProblem {
    /// The problem as a sentence.
    package var message: String {
        switch self {
        case .noReplicas: "A partition needs at least one replica"
        case .repeatedReplica(let node): "Broker \(node) is named twice for one partition"
        case .unknownBroker(let node): "Broker \(node) is not registered"
        case .notReplica(let node): "Broker \(node) holds no replica of the partition"
        case .unchanged(let group): "The replicas of \(group) are these already"
        case .tooManyReplicas(let count):
            "\(count) replicas are more than \(ClusterState.replicasMax) for a partition"
        }
    }
}
