// SPDX-License-Identifier: Apache-2.0
//
// GroupHandlers.swift
// The membership half of the group APIs: translate, ask the coordinator on its loop, translate back.

import KafkaProtocol
import Model
import Synchronization

extension GroupError {
    /// The code on the wire: the raw values are Kafka's.
    var code: KafkaErrorCode { KafkaErrorCode(rawValue: rawValue) ?? .unknownServerError }
}

extension Broker {
    func findCoordinator(_ request: FindCoordinatorRequest, _ call: Call) {
        guard request.keyType == 0 else {
            let message = "transactions are not served"
            return call.respond(
                FindCoordinatorResponse(
                    errorCode: request.keyType == 1 ? .coordinatorNotAvailable : .invalidRequest, errorMessage: message,
                    nodeID: -1, host: "", port: -1))
        }
        let view = view(for: call)
        guard let found = isAlone ? call.advertised : view.leader(of: .coordinator) else {
            return call.respond(
                FindCoordinatorResponse(
                    errorCode: .coordinatorNotAvailable, errorMessage: "No broker leads the coordinator's group",
                    nodeID: -1, host: "", port: -1))
        }
        call.respond(FindCoordinatorResponse(nodeID: found.id.rawValue, host: found.host, port: found.port))
    }

    func joinGroup(_ request: JoinGroupRequest, _ call: Call) {
        let version = call.version
        let clientID = call.header.clientID ?? ""
        withCoordinator { [self] coordinator in
            let makeRequest = { (entropy: MemberIDEntropy) in
                GroupJoin(
                    memberID: request.memberID, instanceID: request.groupInstanceID, clientID: clientID,
                    clientHost: "/" + call.peer, sessionTimeoutMilliseconds: request.sessionTimeoutMilliseconds,
                    rebalanceTimeoutMilliseconds: version >= 1 ? request.rebalanceTimeoutMilliseconds : -1,
                    protocolType: request.protocolType,
                    protocols: request.protocols.map { GroupProtocol(name: $0.name, metadata: $0.metadata) },
                    requiresKnownMemberID: version >= 4, entropy: entropy)
            }
            let waiter = coordinator.join(group: request.groupID, memberID: request.memberID, makeRequest) { result in
                call.respond(
                    JoinGroupResponse(
                        errorCode: result.error?.code ?? .none, generationID: result.generation,
                        protocolType: result.protocolType,
                        // Null only exists from version 7 on.
                        protocolName: result.protocolName ?? (version >= 7 ? nil : ""), leader: result.leaderID,
                        memberID: result.memberID,
                        members: result.members.map {
                            .init(memberID: $0.id, groupInstanceID: $0.instanceID, metadata: $0.metadata)
                        }))
            }
            watch(waiter, group: request.groupID, call)
        }
    }

    func syncGroup(_ request: SyncGroupRequest, _ call: Call) {
        withCoordinator { [self] coordinator in
            let sync = GroupSync(
                memberID: request.memberID, instanceID: request.groupInstanceID, generation: request.generationID,
                protocolType: request.protocolType, protocolName: request.protocolName,
                assignments: request.assignments.map { .init(memberID: $0.memberID, assignment: $0.assignment) })
            let waiter = coordinator.sync(group: request.groupID, sync) { result in
                call.respond(
                    SyncGroupResponse(
                        errorCode: result.error?.code ?? .none, protocolType: result.protocolType,
                        protocolName: result.protocolName, assignment: result.assignment))
            }
            watch(waiter, group: request.groupID, call)
        }
    }

    /// Releases a parked request when its connection goes.
    private func watch(_ waiter: WaiterID?, group: String, _ call: Call) {
        guard let waiter else { return }
        call.answer.onDisconnect { [self] in
            withCoordinator { $0.waiterGone(waiter, group: group) }
        }
    }

    func heartbeat(_ request: HeartbeatRequest, _ call: Call) {
        withCoordinator { coordinator in
            let claim = MemberClaim(
                memberID: request.memberID, instanceID: request.groupInstanceID, generation: request.generationID)
            let error = coordinator.heartbeat(group: request.groupID, claim)
            call.respond(HeartbeatResponse(errorCode: error?.code ?? .none))
        }
    }

    func leaveGroup(_ request: LeaveGroupRequest, _ call: Call) {
        let isList = call.version >= 3
        let leaving =
            isList
            ? request.members.map { LeavingMember(memberID: $0.memberID, instanceID: $0.groupInstanceID) }
            : [LeavingMember(memberID: request.memberID, instanceID: nil)]
        withCoordinator { coordinator in
            let results = coordinator.leave(group: request.groupID, leaving)
            guard isList else {
                return call.respond(LeaveGroupResponse(errorCode: results.first??.code ?? .none))
            }
            let members = zip(leaving, results).map { member, error in
                LeaveGroupResponse.Member(
                    memberID: member.memberID, groupInstanceID: member.instanceID, errorCode: error?.code ?? .none)
            }
            call.respond(LeaveGroupResponse(members: members))
        }
    }

    func describeGroups(_ request: DescribeGroupsRequest, _ call: Call) {
        withCoordinator { coordinator in
            let groups = request.groupIDs.map { id -> DescribeGroupsResponse.Group in
                guard let group = coordinator.describe(group: id) else {
                    return .init(
                        errorCode: coordinator.absence.code, groupID: id, groupState: "", protocolType: "",
                        protocolData: "", members: [])
                }
                var answer = DescribeGroupsResponse.Group(
                    groupID: id, groupState: group.state.rawValue, protocolType: group.protocolType,
                    protocolData: group.protocolName,
                    members: group.members.map {
                        .init(
                            memberID: $0.id, groupInstanceID: $0.instanceID, clientID: $0.clientID,
                            clientHost: $0.clientHost, memberMetadata: $0.metadata, memberAssignment: $0.assignment)
                    })
                if request.includeAuthorizedOperations { answer.authorizedOperations = Self.groupOperations }
                return answer
            }
            call.respond(DescribeGroupsResponse(groups: groups))
        }
    }

    func listGroups(_ request: ListGroupsRequest, _ call: Call) {
        withCoordinator { coordinator in
            guard let groups = coordinator.list(states: Set(request.statesFilter)) else {
                return call.respond(ListGroupsResponse(errorCode: coordinator.absence.code))
            }
            call.respond(
                ListGroupsResponse(
                    groups: groups.map {
                        .init(groupID: $0.id, protocolType: $0.protocolType, groupState: $0.state.rawValue)
                    }))
        }
    }

    func deleteGroups(_ request: DeleteGroupsRequest, _ call: Call) {
        let gathering = Gathering<DeleteGroupsResponse.Group>(count: request.groupIDs.count) { groups in
            call.respond(DeleteGroupsResponse(groups: groups))
        }
        withCoordinator { coordinator in
            for (slot, id) in request.groupIDs.enumerated() {
                coordinator.delete(group: id) { error in
                    gathering.set(slot, .init(groupID: id, errorCode: error?.code ?? .none))
                }
            }
        }
    }
}
