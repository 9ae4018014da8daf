// SPDX-License-Identifier: Apache-2.0
//
// Enumerations.swift
// The small closed sets that message fields refer to. The fields themselves stay integers, as a peer may send others.

/// Which records a read may return.
public enum IsolationLevel: Int8, Sendable, CaseIterable {
    /// Everything below the high watermark.
    case readUncommitted = 0
    /// Nothing at or above the last stable offset.
    case readCommitted = 1
}

/// What a coordinator is asked for.
public enum CoordinatorType: Int8, Sendable, CaseIterable {
    /// The coordinator of a consumer group.
    case group = 0
    /// The coordinator of a transactional id.
    case transaction = 1
    /// The keeper of how far a share group is; the key is `groupId:topicId:partition`.
    case share = 2
}

/// Whose addresses DescribeCluster is asked for.
public enum EndpointType: Int8, Sendable, CaseIterable {
    /// Brokers.
    case broker = 1
    /// Controllers that are no brokers.
    case controller = 2
}

/// What a configuration belongs to.
public enum ConfigResourceType: Int8, Sendable, CaseIterable {
    /// A topic, by name.
    case topic = 2
    /// A broker, by its number in decimal; the empty name is the cluster-wide default.
    case broker = 4
    /// The log levels of a broker.
    case brokerLogger = 8
    /// A set of client metrics.
    case clientMetrics = 16
    /// A consumer group, by its id.
    case group = 32
}

/// Where the value of a configuration key comes from.
public enum ConfigSource: Int8, Sendable, CaseIterable {
    /// Set on the topic.
    case topic = 1
    /// Set at run time on this broker.
    case dynamicBroker = 2
    /// Set at run time for all brokers.
    case dynamicDefaultBroker = 3
    /// Set in the broker's file or on its command line.
    case staticBroker = 4
    /// Not set anywhere.
    case defaultValue = 5
    /// Set at run time on a broker's log level.
    case brokerLogger = 6
    /// Set on a set of client metrics.
    case clientMetrics = 7
    /// Set on the group.
    case group = 8
}

/// What IncrementalAlterConfigs does to one key.
public enum ConfigOperation: Int8, Sendable, CaseIterable {
    /// Replaces the value.
    case set = 0
    /// Goes back to the inherited value.
    case delete = 1
    /// Adds elements to a list.
    case append = 2
    /// Removes elements from a list.
    case subtract = 3
}

/// The special timestamps of ListOffsets in the versions we serve.
public enum ListOffsetsTimestamp {
    /// The end of what the reader may see.
    public static let latest: Int64 = -1
    /// The start of the log.
    public static let earliest: Int64 = -2
    /// The record with the highest timestamp, from version 7 on.
    public static let maxTimestamp: Int64 = -3
    /// The start of what is stored on the broker itself, from version 8 on; without other storage the start of the log.
    public static let earliestLocal: Int64 = -4
    /// The end of what a remote store has, from version 9 on; none without such a store.
    public static let latestTiered: Int64 = -5
    /// The start of what is not yet in a remote store, from version 11 on; none without such a store.
    public static let earliestPendingUpload: Int64 = -6
}

/// Authorized operations that were not asked for.
public let authorizedOperationsOmitted = Int32.min
