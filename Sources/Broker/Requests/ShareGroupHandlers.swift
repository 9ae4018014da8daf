// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupHandlers.swift
// ShareGroupHeartbeat and ShareGroupDescribe: translate, ask the coordinator on its loop, translate back.

import KafkaProtocol
import Model
import Telemetry

extension Broker {
    func shareGroupHeartbeat(_ request: ShareGroupHeartbeatRequest, _ call: Call) {
        let heartbeat = ShareHeartbeat(
            memberID: request.memberID, epoch: request.memberEpoch, rackID: request.rackID,
            topicNames: request.subscribedTopicNames, clientID: call.header.clientID ?? "",
            clientHost: "/" + call.peer)
        withCoordinator { [self] coordinator in
            coordinator.shareHeartbeat(group: request.groupID, heartbeat) { [self] result in
                switch result {
                case .success(let answer):
                    call.respond(
                        ShareGroupHeartbeatResponse(
                            memberID: answer.memberID, memberEpoch: answer.epoch,
                            heartbeatIntervalMilliseconds: answer.intervalMilliseconds,
                            assignment: answer.assignment.map { .init(topicPartitions: $0.wire) }))
                case .failure(let refusal):
                    metrics.error(refusal.error.code).increment()
                    call.respond(
                        ShareGroupHeartbeatResponse(errorCode: refusal.error.code, errorMessage: refusal.message))
                }
            }
        }
    }

    func shareGroupDescribe(_ request: ShareGroupDescribeRequest, _ call: Call) {
        withCoordinator { coordinator in
            let groups = request.groupIDs.map { id -> ShareGroupDescribeResponse.Group in
                guard let shares = coordinator.shares else {
                    return .init(errorCode: coordinator.absence.code, groupID: id)
                }
                guard let group = coordinator.describeShare(group: id) else {
                    return .init(
                        errorCode: .groupIDNotFound, errorMessage: "Group \(id) is not a share group.", groupID: id)
                }
                var answer = ShareGroupDescribeResponse.Group(group) { shares.name(of: $0) }
                if request.includeAuthorizedOperations { answer.authorizedOperations = Self.groupOperations }
                return answer
            }
            call.respond(ShareGroupDescribeResponse(groups: groups))
        }
    }
}

extension ShareGroupDescribeResponse.Group {
    /// A group as it is; topics that `name` does not know are left out, since they are deleted.
    fileprivate init(_ group: ShareGroupInstance, name: (TopicID) -> String?) {
        self.init(
            groupID: group.id, groupState: group.phase.rawValue, groupEpoch: group.header.epoch,
            assignmentEpoch: group.header.epoch, assignorName: ShareAssignment.name,
            members: group.members.map { member in
                .init(
                    memberID: member.id, rackID: member.rackID, memberEpoch: member.epoch, clientID: member.clientID,
                    clientHost: member.clientHost, subscribedTopicNames: member.topicNames,
                    assignment: .init(
                        topicPartitions: member.assigned.sorted.compactMap { topic, indexes in
                            name(topic).map { .init(topicID: topic, topicName: $0, partitions: indexes) }
                        }))
            })
    }
}
