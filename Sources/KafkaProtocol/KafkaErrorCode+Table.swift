// SPDX-License-Identifier: Apache-2.0
//
// KafkaErrorCode+Table.swift
// The table behind KafkaErrorCode: one row a code.

extension KafkaErrorCode {
    /// What a client does about an error.
    enum Retry: Sendable {
        case never, later, afterMetadata
    }

    /// One row of the table.
    struct Row: Sendable {
        let name: String
        let retry: Retry
        let meaning: String

        init(_ name: String, _ meaning: String, _ retry: Retry = .never) {
            self.name = name
            self.retry = retry
            self.meaning = meaning
        }
    }

    /// A row for every case.
    static let table: [KafkaErrorCode: Row] = [
        .unknownServerError: Row("UNKNOWN_SERVER_ERROR", "The broker failed in a way that has no code of its own."),
        .none: Row("NONE", "No error."),
        .offsetOutOfRange: Row("OFFSET_OUT_OF_RANGE", "The offset lies outside what the partition holds."),
        .corruptMessage: Row("CORRUPT_MESSAGE", "A batch does not match its checksum or its stated size.", .later),
        .unknownTopicOrPartition: Row(
            "UNKNOWN_TOPIC_OR_PARTITION",
            "This broker does not host the topic or partition.", .afterMetadata),
        .leaderNotAvailable: Row("LEADER_NOT_AVAILABLE", "The partition has no leader at the moment.", .afterMetadata),
        .notLeaderOrFollower: Row(
            "NOT_LEADER_OR_FOLLOWER",
            "This broker does not lead the partition, or does not follow it where that would do.", .afterMetadata),
        .requestTimedOut: Row("REQUEST_TIMED_OUT", "The request was not completed in the time it allowed.", .later),
        .brokerNotAvailable: Row("BROKER_NOT_AVAILABLE", "The broker is not available."),
        .replicaNotAvailable: Row(
            "REPLICA_NOT_AVAILABLE",
            "The replica is not available on this broker.", .afterMetadata),
        .messageTooLarge: Row("MESSAGE_TOO_LARGE", "A batch is larger than the topic accepts."),
        .offsetMetadataTooLarge: Row("OFFSET_METADATA_TOO_LARGE", "The text committed with an offset is too long."),
        .networkException: Row("NETWORK_EXCEPTION", "The connection broke before an answer came."),
        .coordinatorLoadInProgress: Row(
            "COORDINATOR_LOAD_IN_PROGRESS",
            "The coordinator is still reading its state.", .later),
        .coordinatorNotAvailable: Row("COORDINATOR_NOT_AVAILABLE", "No coordinator is available for the key.", .later),
        .notCoordinator: Row("NOT_COORDINATOR", "This broker does not coordinate the key.", .later),
        .invalidTopicException: Row(
            "INVALID_TOPIC_EXCEPTION",
            "The topic name is not allowed, or the topic is internal."),
        .recordListTooLarge: Row("RECORD_LIST_TOO_LARGE", "A batch is larger than a log segment."),
        .notEnoughReplicas: Row("NOT_ENOUGH_REPLICAS", "Too few replicas are in sync to accept the write.", .later),
        .notEnoughReplicasAfterAppend: Row(
            "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
            "The write was appended, then too few replicas were in sync to confirm it.", .later),
        .invalidRequiredAcks: Row("INVALID_REQUIRED_ACKS", "The required acknowledgements are not -1, 0 or 1."),
        .illegalGeneration: Row("ILLEGAL_GENERATION", "The generation is not the group's current one."),
        .inconsistentGroupProtocol: Row(
            "INCONSISTENT_GROUP_PROTOCOL",
            "The member shares no protocol with the rest of the group."),
        .invalidGroupID: Row("INVALID_GROUP_ID", "The group id is not allowed."),
        .unknownMemberID: Row("UNKNOWN_MEMBER_ID", "The group does not know this member."),
        .invalidSessionTimeout: Row("INVALID_SESSION_TIMEOUT", "The session timeout is outside the allowed range."),
        .rebalanceInProgress: Row("REBALANCE_IN_PROGRESS", "The group is forming a new generation: join again."),
        .invalidCommitOffsetSize: Row(
            "INVALID_COMMIT_OFFSET_SIZE", "The offsets of one request are too large to be stored together."),
        .topicAuthorizationFailed: Row("TOPIC_AUTHORIZATION_FAILED", "The principal may not do this with the topic."),
        .groupAuthorizationFailed: Row("GROUP_AUTHORIZATION_FAILED", "The principal may not do this with the group."),
        .clusterAuthorizationFailed: Row(
            "CLUSTER_AUTHORIZATION_FAILED",
            "The principal may not do this with the cluster."),
        .invalidTimestamp: Row("INVALID_TIMESTAMP", "A record's timestamp is outside the allowed range."),
        .unsupportedSaslMechanism: Row("UNSUPPORTED_SASL_MECHANISM", "The SASL mechanism is not enabled."),
        .illegalSaslState: Row("ILLEGAL_SASL_STATE", "The request is not allowed at this stage of authentication."),
        .unsupportedVersion: Row(
            "UNSUPPORTED_VERSION",
            "The version of the request or of one of its values is not served."),
        .topicAlreadyExists: Row("TOPIC_ALREADY_EXISTS", "A topic of this name exists."),
        .invalidPartitions: Row("INVALID_PARTITIONS", "The number of partitions is not allowed."),
        .invalidReplicationFactor: Row(
            "INVALID_REPLICATION_FACTOR",
            "The replication factor is not allowed or exceeds the number of brokers."),
        .invalidReplicaAssignment: Row("INVALID_REPLICA_ASSIGNMENT", "The replica assignment is not allowed."),
        .invalidConfig: Row("INVALID_CONFIG", "A configuration key or value is not allowed."),
        .notController: Row("NOT_CONTROLLER", "This broker is not the controller.", .later),
        .invalidRequest: Row("INVALID_REQUEST", "The request contradicts itself."),
        .unsupportedForMessageFormat: Row(
            "UNSUPPORTED_FOR_MESSAGE_FORMAT",
            "The stored record format does not support this."),
        .policyViolation: Row("POLICY_VIOLATION", "The topic's policy does not allow this."),
        .outOfOrderSequenceNumber: Row(
            "OUT_OF_ORDER_SEQUENCE_NUMBER",
            "The producer's sequence number does not follow its last one."),
        .duplicateSequenceNumber: Row("DUPLICATE_SEQUENCE_NUMBER", "The producer's sequence number was used before."),
        .invalidProducerEpoch: Row("INVALID_PRODUCER_EPOCH", "The producer's epoch is older than the known one."),
        .invalidTxnState: Row("INVALID_TXN_STATE", "The transaction is not in a state that allows this."),
        .invalidProducerIDMapping: Row(
            "INVALID_PRODUCER_ID_MAPPING",
            "The producer id does not belong to the transactional id."),
        .invalidTransactionTimeout: Row(
            "INVALID_TRANSACTION_TIMEOUT",
            "The transaction timeout is larger than the broker allows."),
        .concurrentTransactions: Row(
            "CONCURRENT_TRANSACTIONS",
            "An earlier transaction of this producer is still being completed.", .later),
        .transactionCoordinatorFenced: Row(
            "TRANSACTION_COORDINATOR_FENCED",
            "A newer transaction coordinator has taken over."),
        .transactionalIDAuthorizationFailed: Row(
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
            "The principal may not use the transactional id."),
        .securityDisabled: Row("SECURITY_DISABLED", "Security is not enabled on this broker."),
        .operationNotAttempted: Row(
            "OPERATION_NOT_ATTEMPTED",
            "The operation was skipped because another one in the request failed."),
        .kafkaStorageError: Row("KAFKA_STORAGE_ERROR", "The broker's disk failed.", .afterMetadata),
        .logDirNotFound: Row("LOG_DIR_NOT_FOUND", "The log directory does not exist."),
        .saslAuthenticationFailed: Row("SASL_AUTHENTICATION_FAILED", "The credentials were refused."),
        .unknownProducerID: Row("UNKNOWN_PRODUCER_ID", "The broker holds no state for the producer id."),
        .reassignmentInProgress: Row("REASSIGNMENT_IN_PROGRESS", "The partition's replicas are being moved."),
        .delegationTokenAuthDisabled: Row("DELEGATION_TOKEN_AUTH_DISABLED", "Delegation tokens are not enabled."),
        .delegationTokenNotFound: Row("DELEGATION_TOKEN_NOT_FOUND", "The delegation token does not exist."),
        .delegationTokenOwnerMismatch: Row(
            "DELEGATION_TOKEN_OWNER_MISMATCH",
            "The principal is neither owner nor renewer of the token."),
        .delegationTokenRequestNotAllowed: Row(
            "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED",
            "Token requests are not allowed on this connection."),
        .delegationTokenAuthorizationFailed: Row(
            "DELEGATION_TOKEN_AUTHORIZATION_FAILED",
            "The principal may not do this with the token."),
        .delegationTokenExpired: Row("DELEGATION_TOKEN_EXPIRED", "The delegation token has expired."),
        .invalidPrincipalType: Row("INVALID_PRINCIPAL_TYPE", "The type of the principal is not supported."),
        .nonEmptyGroup: Row("NON_EMPTY_GROUP", "The group still has members."),
        .groupIDNotFound: Row("GROUP_ID_NOT_FOUND", "The group does not exist."),
        .fetchSessionIDNotFound: Row("FETCH_SESSION_ID_NOT_FOUND", "The fetch session does not exist.", .later),
        .invalidFetchSessionEpoch: Row(
            "INVALID_FETCH_SESSION_EPOCH",
            "The fetch session's epoch is not the expected one.", .later),
        .listenerNotFound: Row(
            "LISTENER_NOT_FOUND",
            "The leader has no listener of the name the request came in on.", .afterMetadata),
        .topicDeletionDisabled: Row("TOPIC_DELETION_DISABLED", "Deleting topics is switched off."),
        .fencedLeaderEpoch: Row(
            "FENCED_LEADER_EPOCH",
            "The leader epoch of the request is older than the broker's.", .afterMetadata),
        .unknownLeaderEpoch: Row(
            "UNKNOWN_LEADER_EPOCH",
            "The leader epoch of the request is newer than the broker's.", .later),
        .unsupportedCompressionType: Row(
            "UNSUPPORTED_COMPRESSION_TYPE",
            "The client's version does not know the compression type."),
        .offsetNotAvailable: Row(
            "OFFSET_NOT_AVAILABLE",
            "The new leader cannot vouch for its high watermark yet.", .later),
        .memberIDRequired: Row("MEMBER_ID_REQUIRED", "The member has to join again with the id it was given."),
        .preferredLeaderNotAvailable: Row("PREFERRED_LEADER_NOT_AVAILABLE", "The preferred leader is not available."),
        .groupMaxSizeReached: Row("GROUP_MAX_SIZE_REACHED", "The group has as many members as it may."),
        .fencedInstanceID: Row("FENCED_INSTANCE_ID", "Another member has registered with the same instance id."),
        .eligibleLeadersNotAvailable: Row("ELIGIBLE_LEADERS_NOT_AVAILABLE", "No replica that may lead is available."),
        .electionNotNeeded: Row("ELECTION_NOT_NEEDED", "The leader is already the wanted one."),
        .noReassignmentInProgress: Row("NO_REASSIGNMENT_IN_PROGRESS", "No reassignment of the partition is under way."),
        .groupSubscribedToTopic: Row(
            "GROUP_SUBSCRIBED_TO_TOPIC",
            "A live member of the group subscribes to the topic."),
        .invalidRecord: Row("INVALID_RECORD", "A record breaks a rule of the log or of its topic."),
        .unstableOffsetCommit: Row(
            "UNSTABLE_OFFSET_COMMIT",
            "The offset is part of a transaction that is still open.", .later),
        .throttlingQuotaExceeded: Row("THROTTLING_QUOTA_EXCEEDED", "A quota is used up for the moment.", .later),
        .producerFenced: Row("PRODUCER_FENCED", "A newer producer has taken the transactional id."),
        .resourceNotFound: Row("RESOURCE_NOT_FOUND", "The resource does not exist."),
        .duplicateResource: Row("DUPLICATE_RESOURCE", "The request names a resource twice."),
        .unacceptableCredential: Row("UNACCEPTABLE_CREDENTIAL", "The credential does not meet the requirements."),
        .inconsistentVoterSet: Row("INCONSISTENT_VOTER_SET", "The sender or the receiver is not among the voters."),
        .invalidUpdateVersion: Row("INVALID_UPDATE_VERSION", "The update version is not the next one."),
        .featureUpdateFailed: Row("FEATURE_UPDATE_FAILED", "The feature could not be updated."),
        .unknownTopicID: Row("UNKNOWN_TOPIC_ID", "This broker hosts no topic with the id.", .afterMetadata),
        .brokerIDNotRegistered: Row("BROKER_ID_NOT_REGISTERED", "The broker id is not registered."),
        .inconsistentTopicID: Row(
            "INCONSISTENT_TOPIC_ID",
            "The topic id does not belong to the topic name.", .afterMetadata),
        .inconsistentClusterID: Row("INCONSISTENT_CLUSTER_ID", "The request is meant for another cluster."),
        .transactionalIDNotFound: Row("TRANSACTIONAL_ID_NOT_FOUND", "The transactional id does not exist."),
        .fetchSessionTopicIDError: Row(
            "FETCH_SESSION_TOPIC_ID_ERROR",
            "A fetch session mixes topic names and topic ids.", .later),
        .newLeaderElected: Row("NEW_LEADER_ELECTED", "A new leader took over while the request was handled."),
        .offsetMovedToTieredStorage: Row(
            "OFFSET_MOVED_TO_TIERED_STORAGE",
            "The offset is held in tiered storage only."),
        .fencedMemberEpoch: Row("FENCED_MEMBER_EPOCH", "The member's epoch is not current: leave and join again."),
        .unreleasedInstanceID: Row("UNRELEASED_INSTANCE_ID", "The instance id is still held by another member."),
        .unsupportedAssignor: Row("UNSUPPORTED_ASSIGNOR", "The assignor is not supported."),
        .staleMemberEpoch: Row("STALE_MEMBER_EPOCH", "The member's epoch is older than the group's."),
        .mismatchedEndpointType: Row(
            "MISMATCHED_ENDPOINT_TYPE",
            "The request came in on an endpoint of the wrong type."),
        .unsupportedEndpointType: Row("UNSUPPORTED_ENDPOINT_TYPE", "The endpoint type is not known."),
        .unknownSubscriptionID: Row("UNKNOWN_SUBSCRIPTION_ID", "The telemetry subscription is out of date."),
        .telemetryTooLarge: Row("TELEMETRY_TOO_LARGE", "The telemetry is larger than the broker accepts."),
        .transactionAbortable: Row(
            "TRANSACTION_ABORTABLE",
            "The transaction cannot be completed and has to be aborted."),
        .invalidRecordState: Row("INVALID_RECORD_STATE", "The record is not in a state that allows this."),
        .shareSessionNotFound: Row("SHARE_SESSION_NOT_FOUND", "The share session does not exist.", .later),
        .invalidShareSessionEpoch: Row(
            "INVALID_SHARE_SESSION_EPOCH",
            "The share session's epoch is not the expected one.", .later),
        .fencedStateEpoch: Row(
            "FENCED_STATE_EPOCH",
            "The state of the share group was set from elsewhere; for brokers only."),
        .invalidVoterKey: Row("INVALID_VOTER_KEY", "The voter's id and directory do not match."),
        .duplicateVoter: Row("DUPLICATE_VOTER", "The voter is already in the set."),
        .voterNotFound: Row("VOTER_NOT_FOUND", "The voter is not in the set."),
        .invalidRegularExpression: Row("INVALID_REGULAR_EXPRESSION", "The regular expression cannot be parsed."),
        .rebootstrapRequired: Row("REBOOTSTRAP_REQUIRED", "The client has to look up the cluster afresh."),
        .streamsInvalidTopology: Row("STREAMS_INVALID_TOPOLOGY", "The streams topology is not valid."),
        .streamsInvalidTopologyEpoch: Row(
            "STREAMS_INVALID_TOPOLOGY_EPOCH",
            "The epoch of the streams topology is not valid."),
        .streamsTopologyFenced: Row("STREAMS_TOPOLOGY_FENCED", "The epoch of the streams topology is outdated."),
        .shareSessionLimitReached: Row(
            "SHARE_SESSION_LIMIT_REACHED",
            "The broker holds as many share sessions as it may.", .later),
        .groupDeletionFailed: Row("GROUP_DELETION_FAILED", "The group could not be deleted."),
    ]
}
