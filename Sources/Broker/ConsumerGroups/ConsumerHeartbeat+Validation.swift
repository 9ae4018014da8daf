// SPDX-License-Identifier: Apache-2.0
//
// ConsumerHeartbeat+Validation.swift
// What a heartbeat must and must not say, whatever the group is like.

import Model

extension ConsumerHeartbeat {
    /// Refuses a request that makes no sense; sets a member id where the version lets the coordinator choose it.
    mutating func validate(_ settings: GroupSettings) throws(ConsumerGroupRefusal) {
        if memberID.isEmpty {
            guard wantsMemberID, epoch == Self.joinEpoch else { throw Self.invalid("MemberId can't be empty.") }
            memberID = entropy.uuidText
        }
        if memberID.utf8.count > Self.nameBytesMax { throw Self.invalid("MemberId is too long.") }
        if let instanceID, instanceID.isEmpty || instanceID.utf8.count > Self.nameBytesMax {
            throw Self.invalid(instanceID.isEmpty ? "InstanceId can't be empty." : "InstanceId is too long.")
        }
        if rackID?.isEmpty == true { throw Self.invalid("RackId can't be empty.") }
        switch epoch {
        case Self.joinEpoch: try validateJoin()
        case ConsumerGroupMember.departedEpoch:
            if instanceID == nil { throw Self.invalid("InstanceId can't be null.") }
        case ..<ConsumerGroupMember.departedEpoch: throw Self.invalid("MemberEpoch is invalid.")
        default: break
        }
        if let assignor, !settings.consumerAssignors.contains(where: { $0.rawValue == assignor }) {
            let known = settings.consumerAssignors.map(\.rawValue).joined(separator: ", ")
            throw ConsumerGroupRefusal(
                .unsupportedAssignor, "ServerAssignor \(assignor) is not supported. Supported assignors: \(known).")
        }
    }

    /// The longest member or instance id, in bytes.
    static let nameBytesMax = 1024

    private func validateJoin() throws(ConsumerGroupRefusal) {
        if rebalanceTimeoutMilliseconds < 0 {
            throw Self.invalid("RebalanceTimeoutMs must be provided in first request.")
        }
        guard let owned, owned.isEmpty else {
            throw Self.invalid("TopicPartitions must be empty when (re-)joining.")
        }
        if topicNames == nil, pattern == nil {
            throw Self.invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
        }
    }

    private static func invalid(_ message: String) -> ConsumerGroupRefusal {
        ConsumerGroupRefusal(.invalidRequest, message)
    }
}
