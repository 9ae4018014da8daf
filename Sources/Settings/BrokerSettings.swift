// SPDX-License-Identifier: Apache-2.0
//
// BrokerSettings.swift
// All settings of a broker, typed. Made by the loader from the resolved values; the only form other targets see.

public import Model

/// What a broker needs to know to start; see the catalogue for the meaning of each value.
public struct BrokerSettings: Sendable, Equatable {
    /// Who this broker is.
    public var node: Node
    /// Where Kafka clients connect.
    public var listeners: Listeners
    /// How it is one of several; nil for a broker that is alone.
    public var cluster: Cluster?
    /// The address of the admin server; nil when there is none.
    public var adminListen: NetworkAddress?
    /// Where data lies.
    public var storage: Storage
    /// How much is gathered before it is written.
    public var performance: Performance
    /// Creating and deleting topics.
    public var topics: Topics
    /// What a topic has that sets nothing itself.
    public var topicDefaults: TopicConfiguration
    /// Consumer groups.
    public var groups: Groups
    /// Share groups.
    public var shareGroups: ShareGroups
    /// Idempotent producers.
    public var producers: Producers
    /// Transactional producers.
    public var transactions: Transactions
    /// Metrics that clients push.
    public var telemetry: Telemetry
    /// The broker's own log.
    public var log: Log
    /// Bounds.
    public var limits: Limits

    /// Section `node`.
    public struct Node: Sendable, Equatable {
        /// Key `node.id`.
        public var id: NodeID
        /// Nil: made at the first start.
        public var clusterID: String?
        /// Key `node.rack`.
        public var rack: String?
    }

    /// Section `listeners`.
    public struct Listeners: Sendable, Equatable {
        /// Key `listeners.kafka`.
        public var kafka: NetworkAddress
        /// What clients are told; already derived from `kafka` when the configuration does not say.
        public var advertised: NetworkAddress
        /// Key `listeners.max_connections`.
        public var maxConnections: Int
        /// Key `listeners.max_connections_per_ip`.
        public var maxConnectionsPerIP: Int
        /// Key `listeners.idle_timeout`.
        public var idleTimeout: Duration
        /// Key `listeners.partial_frame_timeout`.
        public var partialFrameTimeout: Duration
        /// Key `listeners.max_request_bytes`.
        public var maxRequestBytes: ByteCount
        /// Key `listeners.max_inflight_requests_per_connection`.
        public var maxInflightRequestsPerConnection: Int
        /// Key `listeners.max_inflight_bytes_per_connection`.
        public var maxInflightBytesPerConnection: ByteCount
        /// Key `listeners.max_inflight_bytes`.
        public var maxInflightBytes: ByteCount
        /// Key `listeners.max_response_backlog_bytes`.
        public var maxResponseBacklogBytes: ByteCount
    }

    /// Section `storage`.
    public struct Storage: Sendable, Equatable {
        /// Key `storage.directory`.
        public var directory: String
        /// Key `storage.journal`.
        public var journal: JournalMode
        /// Key `storage.journal_file_bytes`.
        public var journalFileBytes: ByteCount
        /// Key `storage.journal_files`.
        public var journalFiles: Int
        /// Key `storage.recycle_bytes`.
        public var recycleBytes: ByteCount
        /// Key `storage.disk_reserve_bytes`.
        public var diskReserveBytes: ByteCount
        /// Key `storage.read_cache_bytes`.
        public var readCacheBytes: ByteCount
        /// Key `storage.write_buffer_bytes`.
        public var writeBufferBytes: ByteCount
        /// Key `storage.compression`.
        public var compression: FrameCompression
        /// Key `storage.compression_level`.
        public var compressionLevel: Int
        /// Key `storage.checkpoint_interval`.
        public var checkpointInterval: Duration
        /// Key `storage.retention_check_interval`.
        public var retentionCheckInterval: Duration
        /// Key `storage.compaction_memory_bytes`.
        public var compactionMemoryBytes: ByteCount
        /// Key `storage.compaction_rate_bytes`: a second; 0 is without a limit.
        public var compactionRateBytes: ByteCount
    }

    /// Section `performance`.
    public struct Performance: Sendable, Equatable {
        /// 0: half of the cores, at least one.
        public var eventLoops: Int
        /// 0: half of the cores, at least one.
        public var validationThreads: Int
        /// Key `performance.max_batch_bytes`.
        public var maxBatchBytes: ByteCount
        /// Key `performance.max_batch_size`.
        public var maxBatchSize: Int
        /// Key `performance.batch_timeout`.
        public var batchTimeout: Duration
    }

    /// Section `topics`, without what ``TopicConfiguration`` holds.
    public struct Topics: Sendable, Equatable {
        /// Key `topics.auto_create`.
        public var autoCreate: Bool
        /// Key `topics.num_partitions`.
        public var numPartitions: Int
        /// Key `topics.default_replication_factor`.
        public var defaultReplicationFactor: Int
        /// Key `topics.delete_enable`.
        public var deleteEnable: Bool
    }

    /// Section `groups`.
    public struct Groups: Sendable, Equatable {
        /// Key `groups.initial_rebalance_delay`.
        public var initialRebalanceDelay: Duration
        /// Key `groups.min_session_timeout`.
        public var minSessionTimeout: Duration
        /// Key `groups.max_session_timeout`.
        public var maxSessionTimeout: Duration
        /// Key `groups.new_member_join_timeout`.
        public var newMemberJoinTimeout: Duration
        /// Key `groups.offsets_retention`.
        public var offsetsRetention: Duration
        /// Key `groups.offset_metadata_max_bytes`.
        public var offsetMetadataMaxBytes: ByteCount
        /// Key `groups.max_size`.
        public var maxSize: Int
        /// Key `groups.max_groups`.
        public var maxGroups: Int
        /// Key `groups.max_configurations`.
        public var maxConfigurations: Int
        /// Key `groups.consumer_session_timeout`.
        public var consumerSessionTimeout: Duration
        /// Key `groups.consumer_heartbeat_interval`.
        public var consumerHeartbeatInterval: Duration
        /// Key `groups.consumer_max_size`.
        public var consumerMaxSize: Int
        /// Key `groups.consumer_assignors`.
        public var consumerAssignors: ConsumerAssignors
    }

    /// Section `share_groups`.
    public struct ShareGroups: Sendable, Equatable {
        /// Key `share_groups.session_timeout`.
        public var sessionTimeout: Duration
        /// Key `share_groups.heartbeat_interval`.
        public var heartbeatInterval: Duration
        /// Key `share_groups.max_size`.
        public var maxSize: Int
        /// Key `share_groups.record_lock_duration`.
        public var recordLockDuration: Duration
        /// Key `share_groups.delivery_count_limit`.
        public var deliveryCountLimit: Int
        /// Key `share_groups.max_record_locks`.
        public var maxRecordLocks: Int
        /// Key `share_groups.max_sessions`.
        public var maxSessions: Int
        /// Key `share_groups.max_partitions`.
        public var maxPartitions: Int
        /// Key `share_groups.auto_offset_reset`.
        public var offsetReset: ShareOffsetReset
        /// Key `share_groups.auto_offset_reset_duration`.
        public var offsetResetDuration: Duration
        /// Key `share_groups.isolation_level`.
        public var isolation: ShareIsolation
    }

    /// Section `producers`.
    public struct Producers: Sendable, Equatable {
        /// Key `producers.id_expiration`.
        public var idExpiration: Duration
        /// Key `producers.max_per_partition`.
        public var maxPerPartition: Int
    }

    /// Section `transactions`.
    public struct Transactions: Sendable, Equatable {
        /// Key `transactions.max_timeout`.
        public var maxTimeout: Duration
        /// Key `transactions.id_expiration`.
        public var idExpiration: Duration
        /// Key `transactions.max_ids`.
        public var maxIDs: Int
        /// Key `transactions.max_partitions`.
        public var maxPartitions: Int
    }

    /// Section `telemetry`.
    public struct Telemetry: Sendable, Equatable {
        /// Key `telemetry.metrics`.
        public var metrics: [MetricPrefix]
        /// Key `telemetry.push_interval`.
        public var pushInterval: Duration
        /// Key `telemetry.max_bytes`.
        public var maxBytes: ByteCount
        /// Key `telemetry.max_instances`.
        public var maxInstances: Int
    }

    /// Section `log`.
    public struct Log: Sendable, Equatable {
        /// Key `log.level`.
        public var level: LogLevelName
        /// Key `log.format`.
        public var format: LogFormatName
    }

    /// Section `limits`.
    public struct Limits: Sendable, Equatable {
        /// Key `limits.max_topics`.
        public var maxTopics: Int
        /// Key `limits.max_partitions`.
        public var maxPartitions: Int
        /// Key `limits.max_partitions_per_topic`.
        public var maxPartitionsPerTopic: Int
        /// Key `limits.max_fetch_bytes`.
        public var maxFetchBytes: ByteCount
        /// Key `limits.max_fetch_sessions`.
        public var maxFetchSessions: Int
        /// Key `limits.max_metric_series`.
        public var maxMetricSeries: Int
    }

    /// The settings of a broker that is told nothing.
    public static let defaults = ResolvedSettings.defaults.typed()
}
