// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupHandlers.swift
// ConsumerGroupHeartbeat and ConsumerGroupDescribe: translate, ask the coordinator on its loop, translate back.

import KafkaProtocol
import Model
import Telemetry

extension Broker {
    func consumerGroupHeartbeat(_ request: ConsumerGroupHeartbeatRequest, _ call: Call) {
        let (clientID, host, version) = (call.header.clientID ?? "", "/" + call.peer, call.version)
        withCoordinator { [self] coordinator in
            let makeRequest = { (entropy: MemberIDEntropy) in
                ConsumerHeartbeat(
                    memberID: request.memberID, epoch: request.memberEpoch, instanceID: request.instanceID,
                    rackID: request.rackID, rebalanceTimeoutMilliseconds: request.rebalanceTimeoutMilliseconds,
                    topicNames: request.subscribedTopicNames, pattern: request.subscribedTopicRegex,
                    assignor: request.serverAssignor, owned: request.topicPartitions.map(PartitionSet.init(wire:)),
                    clientID: clientID, clientHost: host, wantsMemberID: version == 0, entropy: entropy)
            }
            coordinator.consumerHeartbeat(group: request.groupID, makeRequest) { [self] result in
                switch result {
                case .success(let answer):
                    call.respond(
                        ConsumerGroupHeartbeatResponse(
                            memberID: answer.memberID, memberEpoch: answer.epoch,
                            heartbeatIntervalMilliseconds: answer.intervalMilliseconds,
                            assignment: answer.assignment.map { .init(topicPartitions: $0.wire) }))
                case .failure(let refusal):
                    metrics.error(refusal.error.code).increment()
                    call.respond(
                        ConsumerGroupHeartbeatResponse(
                            errorCode: refusal.error.code, errorMessage: refusal.message, memberID: nil))
                }
            }
        }
    }

    func consumerGroupDescribe(_ request: ConsumerGroupDescribeRequest, _ call: Call) {
        withCoordinator { coordinator in
            let groups = request.groupIDs.map { id -> ConsumerGroupDescribeResponse.Group in
                guard let consumers = coordinator.consumers else {
                    return .init(errorCode: coordinator.absence.code, groupID: id)
                }
                guard let group = coordinator.describeConsumers(group: id) else {
                    return .init(
                        errorCode: .groupIDNotFound, errorMessage: "Group \(id) is not a consumer group.", groupID: id)
                }
                var answer = ConsumerGroupDescribeResponse.Group(group) { consumers.name(of: $0) }
                if request.includeAuthorizedOperations { answer.authorizedOperations = Self.groupOperations }
                return answer
            }
            call.respond(ConsumerGroupDescribeResponse(groups: groups))
        }
    }
}

extension PartitionSet {
    /// What a message names; a topic that is named twice counts once.
    init(wire: [TopicIDPartitions]) {
        var topics: [TopicID: Set<Int32>] = [:]
        for topic in wire { topics[topic.topicID, default: []].formUnion(topic.partitions) }
        self.init(topics)
    }

    /// The set as messages have it.
    var wire: [TopicIDPartitions] { sorted.map { TopicIDPartitions(topicID: $0.topic, partitions: $0.partitions) } }
}

extension ConsumerGroupDescribeResponse.Group {
    /// A group as it is; topics that `name` does not know are left out, since they are deleted.
    fileprivate init(_ group: ConsumerGroupInstance, name: (TopicID) -> String?) {
        func assignment(_ partitions: PartitionSet) -> ConsumerGroupDescribeResponse.Assignment {
            .init(
                topicPartitions: partitions.sorted.compactMap { topic, indexes in
                    name(topic).map { .init(topicID: topic, topicName: $0, partitions: indexes) }
                })
        }
        let header = group.snapshot.header
        self.init(
            groupID: group.id, groupState: group.phase.rawValue, groupEpoch: header.epoch,
            assignmentEpoch: header.epoch, assignorName: header.assignor,
            members: group.members.map { member in
                .init(
                    memberID: member.id, instanceID: member.instanceID, rackID: member.rackID,
                    memberEpoch: member.epoch, clientID: member.clientID, clientHost: member.clientHost,
                    subscribedTopicNames: member.topicNames, subscribedTopicRegex: member.pattern,
                    assignment: assignment(member.assigned), targetAssignment: assignment(member.target),
                    memberType: Self.consumerMemberType)
            })
    }

    /// A member under the consumer protocol.
    private static let consumerMemberType: Int8 = 1
}
