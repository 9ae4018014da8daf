// SPDX-License-Identifier: Apache-2.0
//
// GroupHandlers.swift
// The membership half of the group APIs: translate, ask the coordinator on its loop, translate back.

import KafkaProtocol
import Logging
import Model
import Synchronization

extension GroupError {
    /// The code on the wire: the raw values are Kafka's.
    var code: KafkaErrorCode { KafkaErrorCode(rawValue: rawValue) ?? .unknownServerError }
}

extension Broker {
    func findCoordinator(_ request: FindCoordinatorRequest, _ call: Call) {
        guard call.version >= 4 else {
            let found = coordinator(of: request.key, request.keyType, call)
            return call.respond(
                FindCoordinatorResponse(
                    errorCode: found.errorCode, errorMessage: found.errorMessage, nodeID: found.nodeID,
                    host: found.host, port: found.port))
        }
        let found = request.coordinatorKeys.map { coordinator(of: $0, request.keyType, call) }
        call.respond(FindCoordinatorResponse(coordinators: found))
    }

    private func coordinator(of key: String, _ type: Int8, _ call: Call) -> FindCoordinatorResponse.Coordinator {
        // Groups and transactional ids have one coordinator.
        guard let type = CoordinatorType(rawValue: type) else {
            return .init(key: key, errorCode: .invalidRequest, errorMessage: "there is no coordinator of type \(type)")
        }
        guard type != .share || ShareKey(coordinatorKey: key) != nil else {
            return .init(
                key: key, errorCode: .invalidRequest, errorMessage: "the key is not groupId:topicId:partition")
        }
        guard let found = isAlone ? call.advertised : view(for: call).leader(of: .coordinator) else {
            return .init(
                key: key, errorCode: .coordinatorNotAvailable,
                errorMessage: "No broker leads the coordinator's group")
        }
        return .init(key: key, nodeID: found.id.rawValue, host: found.host, port: found.port)
    }

    func joinGroup(_ request: JoinGroupRequest, _ call: Call) {
        let version = call.version
        let clientID = call.header.clientID ?? ""
        note("joins", request.reason, member: request.memberID, group: request.groupID)
        withCoordinator { [self] coordinator in
            let makeRequest = { (entropy: MemberIDEntropy) in
                GroupJoin(
                    memberID: request.memberID, instanceID: request.groupInstanceID, clientID: clientID,
                    clientHost: "/" + call.peer, sessionTimeoutMilliseconds: request.sessionTimeoutMilliseconds,
                    rebalanceTimeoutMilliseconds: version >= 1 ? request.rebalanceTimeoutMilliseconds : -1,
                    protocolType: request.protocolType,
                    protocols: request.protocols.map { GroupProtocol(name: $0.name, metadata: $0.metadata) },
                    requiresKnownMemberID: version >= 4, supportsSkippingAssignment: version >= 9, entropy: entropy)
            }
            let waiter = coordinator.join(group: request.groupID, memberID: request.memberID, makeRequest) { result in
                call.respond(
                    JoinGroupResponse(
                        errorCode: result.error?.code ?? .none, generationID: result.generation,
                        protocolType: result.protocolType,
                        // Null only exists from version 7 on.
                        protocolName: result.protocolName ?? (version >= 7 ? nil : ""), leader: result.leaderID,
                        skipAssignment: result.skipAssignment, memberID: result.memberID,
                        members: result.members.map {
                            .init(memberID: $0.id, groupInstanceID: $0.instanceID, metadata: $0.metadata)
                        }))
            }
            watch(waiter, group: request.groupID, call)
        }
    }

    /// The longest reason that goes to the log; clients send no longer one (KIP-800).
    private static let reasonCharactersMax = 255

    /// Logs why a member joins or leaves, when it says so.
    private func note(_ action: String, _ reason: String?, member: String, group: String) {
        guard let reason, !reason.isEmpty else { return }
        logger.debug(
            "A member \(action) its group",
            metadata: [
                "group": "\(group)", "member": "\(member)", "reason": "\(reason.prefix(Self.reasonCharactersMax))",
            ])
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
        for member in request.members {
            note("leaves", member.reason, member: member.memberID, group: request.groupID)
        }
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
                // Up to version 5 a group that does not exist is one without members.
                let isAbsent = call.version >= 6 && group.state == .dead
                let isOther = isAbsent && coordinator.describeConsumers(group: id) != nil
                var answer = DescribeGroupsResponse.Group(
                    errorCode: isAbsent ? .groupIDNotFound : .none,
                    errorMessage: isAbsent
                        ? isOther ? "Group \(id) is not a classic group." : "Group \(id) not found." : nil,
                    groupID: id,
                    groupState: group.state.rawValue, protocolType: group.protocolType,
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
            guard let classic = coordinator.list(states: Set(request.statesFilter)),
                let consumers = coordinator.listConsumers(), let shares = coordinator.listShares()
            else {
                return call.respond(ListGroupsResponse(errorCode: coordinator.absence.code))
            }
            let states = Set(request.statesFilter.map { $0.lowercased() })
            let types = Set(request.typesFilter.map { $0.lowercased() })
            var groups: [ListGroupsResponse.Group] = []
            if types.isEmpty || types.contains("classic") {
                groups += classic.map {
                    .init(
                        groupID: $0.id, protocolType: $0.protocolType, groupState: $0.state.rawValue,
                        groupType: "classic")
                }
            }
            if types.isEmpty || types.contains("consumer") {
                let wanted = consumers.filter { states.isEmpty || states.contains($0.phase.rawValue.lowercased()) }
                groups += wanted.map {
                    .init(
                        groupID: $0.id, protocolType: ConsumerSubscription.protocolType,
                        groupState: $0.phase.rawValue, groupType: "consumer")
                }
            }
            if types.isEmpty || types.contains("share") {
                let wanted = shares.filter { states.isEmpty || states.contains($0.phase.rawValue.lowercased()) }
                groups += wanted.map {
                    .init(groupID: $0.id, protocolType: "share", groupState: $0.phase.rawValue, groupType: "share")
                }
            }
            call.respond(ListGroupsResponse(groups: groups))
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
