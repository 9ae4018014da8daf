// SPDX-License-Identifier: Apache-2.0
//
// GroupError.swift
// Every refusal of the group coordinator. The raw value is the Kafka error code, so that mapping is a cast.

/// Why the group coordinator refuses a request, or part of one.
enum GroupError: Int16, Error, Hashable, Sendable, CaseIterable {
    /// Storing the group failed for a reason the client cannot mend.
    case unknownServerError = -1
    /// The metadata string of a committed offset is longer than the limit.
    case offsetMetadataTooLarge = 12
    /// The coordinator's state is still being loaded.
    case coordinatorLoadInProgress = 14
    /// The group is being deleted or its change could not be stored; the client tries again.
    case coordinatorNotAvailable = 15
    /// This broker does not coordinate the group, or no longer.
    case notCoordinator = 16
    /// The generation named is not the group's current one.
    case illegalGeneration = 22
    /// No protocol is shared with the other members, or the protocol type differs.
    case inconsistentGroupProtocol = 23
    /// The group id is empty.
    case invalidGroupID = 24
    /// The member id is not part of the group.
    case unknownMemberID = 25
    /// The session timeout is outside the broker's bounds.
    case invalidSessionTimeout = 26
    /// A rebalance is under way: the member has to join again.
    case rebalanceInProgress = 27
    /// The offsets of one request are more than one command can hold.
    case invalidCommitOffsetSize = 28
    /// The version of the request is older than the protocol of the group.
    case unsupportedVersion = 35
    /// The request is not well-formed.
    case invalidRequest = 42
    /// The group still has members.
    case nonEmptyGroup = 68
    /// There is no such group.
    case groupIDNotFound = 69
    /// The member has to join again with the id it is given with this error.
    case memberIDRequired = 79
    /// The group, or the broker's number of groups, is at its limit.
    case groupMaxSizeReached = 81
    /// The instance id belongs to another member id by now.
    case fencedInstanceID = 82
    /// A live member subscribes to the topic whose offsets were to be deleted.
    case groupSubscribedToTopic = 86
    /// The member's epoch is not the one it was told last: it has to let go of everything and join again.
    case fencedMemberEpoch = 110
    /// The static member that has the instance id has not left.
    case unreleasedInstanceID = 111
    /// The assignor is none of those that are offered.
    case unsupportedAssignor = 112
    /// The member has a newer epoch by now: it may ask again with that.
    case staleMemberEpoch = 113
    /// The expression over topic names cannot be used.
    case invalidRegularExpression = 128
}
