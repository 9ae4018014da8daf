// SPDX-License-Identifier: Apache-2.0
//
// ResolvedSettings+Typed.swift
// From keys to the typed settings.

import Model

extension ResolvedSettings {
    /// The values as the rest of the broker uses them.
    public func typed() -> BrokerSettings {
        BrokerSettings(
            node: node, listeners: listeners, cluster: cluster, adminListen: self[Catalogue.adminListen],
            storage: storage,
            performance: performance, topics: topics, topicDefaults: topicDefaults, groups: groups,
            shareGroups: shareGroups,
            producers: .init(
                idExpiration: self[Catalogue.producersIDExpiration],
                maxPerPartition: self[Catalogue.producersMaxPerPartition]),
            transactions: .init(
                maxTimeout: self[Catalogue.transactionsMaxTimeout],
                idExpiration: self[Catalogue.transactionsIDExpiration], maxIDs: self[Catalogue.transactionsMaxIDs],
                maxPartitions: self[Catalogue.transactionsMaxPartitions]),
            telemetry: .init(
                metrics: self[Catalogue.telemetryMetrics], pushInterval: self[Catalogue.telemetryPushInterval],
                maxBytes: self[Catalogue.telemetryMaxBytes], maxInstances: self[Catalogue.telemetryMaxInstances]),
            log: .init(level: self[Catalogue.logLevel], format: self[Catalogue.logFormat]),
            limits: limits)
    }

    private var node: BrokerSettings.Node {
        func optional(_ key: SettingKey<String>) -> String? { self[key].isEmpty ? nil : self[key] }
        return .init(
            // The key's bounds are those of Int32.
            id: NodeID(rawValue: Int32(self[Catalogue.nodeID])), clusterID: optional(Catalogue.nodeClusterID),
            rack: optional(Catalogue.nodeRack))
    }

    private var listeners: BrokerSettings.Listeners {
        let kafka = self[Catalogue.listenersKafka]
        let derived = kafka.isWildcard ? NetworkAddress(host: "localhost", port: kafka.port) : kafka
        return .init(
            kafka: kafka, advertised: self[Catalogue.listenersAdvertised] ?? derived,
            maxConnections: self[Catalogue.listenersMaxConnections],
            maxConnectionsPerIP: self[Catalogue.listenersMaxConnectionsPerIP],
            idleTimeout: self[Catalogue.listenersIdleTimeout],
            partialFrameTimeout: self[Catalogue.listenersPartialFrameTimeout],
            maxRequestBytes: self[Catalogue.listenersMaxRequestBytes],
            maxInflightRequestsPerConnection: self[Catalogue.listenersMaxInflightRequests],
            maxInflightBytesPerConnection: self[Catalogue.listenersMaxInflightBytesPerConnection],
            maxInflightBytes: self[Catalogue.listenersMaxInflightBytes],
            maxResponseBacklogBytes: self[Catalogue.listenersMaxResponseBytes])
    }

    private var storage: BrokerSettings.Storage {
        .init(
            directory: self[Catalogue.storageDirectory], journal: self[Catalogue.storageJournal],
            journalFileBytes: self[Catalogue.storageJournalFileBytes],
            journalFiles: self[Catalogue.storageJournalFiles], recycleBytes: self[Catalogue.storageRecycleBytes],
            diskReserveBytes: self[Catalogue.storageDiskReserve], readCacheBytes: self[Catalogue.storageReadCache],
            writeBufferBytes: self[Catalogue.storageWriteBuffer], compression: self[Catalogue.storageCompression],
            compressionLevel: self[Catalogue.storageCompressionLevel],
            checkpointInterval: self[Catalogue.storageCheckpointInterval],
            retentionCheckInterval: self[Catalogue.storageRetentionCheckInterval],
            compactionMemoryBytes: self[Catalogue.storageCompactionMemory],
            compactionRateBytes: self[Catalogue.storageCompactionRate])
    }

    private var performance: BrokerSettings.Performance {
        .init(
            eventLoops: self[Catalogue.performanceEventLoops],
            validationThreads: self[Catalogue.performanceValidationThreads],
            maxBatchBytes: self[Catalogue.performanceMaxBatchBytes],
            maxBatchSize: self[Catalogue.performanceMaxBatchSize],
            batchTimeout: self[Catalogue.performanceBatchTimeout])
    }

    private var topics: BrokerSettings.Topics {
        .init(
            autoCreate: self[Catalogue.topicsAutoCreate], numPartitions: self[Catalogue.topicsNumPartitions],
            defaultReplicationFactor: self[Catalogue.topicsReplicationFactor],
            deleteEnable: self[Catalogue.topicsDeleteEnable])
    }

    private var topicDefaults: TopicConfiguration {
        .init(
            retentionMilliseconds: Int64(self[Catalogue.topicsRetentionMilliseconds]),
            retentionBytes: Int64(self[Catalogue.topicsRetentionBytes]),
            segmentBytes: self[Catalogue.topicsSegmentBytes],
            segmentMilliseconds: Int64(self[Catalogue.topicsSegmentMilliseconds]),
            maxMessageBytes: self[Catalogue.topicsMaxMessageBytes],
            compression: self[Catalogue.topicsCompressionType], timestampType: self[Catalogue.topicsTimestampType],
            timestampBeforeMaxMilliseconds: Int64(self[Catalogue.topicsTimestampBeforeMax]),
            timestampAfterMaxMilliseconds: Int64(self[Catalogue.topicsTimestampAfterMax]),
            minInsyncReplicas: self[Catalogue.topicsMinInsyncReplicas])
    }

    private var groups: BrokerSettings.Groups {
        .init(
            initialRebalanceDelay: self[Catalogue.groupsInitialRebalanceDelay],
            minSessionTimeout: self[Catalogue.groupsMinSessionTimeout],
            maxSessionTimeout: self[Catalogue.groupsMaxSessionTimeout],
            newMemberJoinTimeout: self[Catalogue.groupsNewMemberTimeout],
            offsetsRetention: self[Catalogue.groupsOffsetsRetention],
            offsetMetadataMaxBytes: self[Catalogue.groupsOffsetMetadataMaxBytes],
            maxSize: self[Catalogue.groupsMaxSize], maxGroups: self[Catalogue.groupsMaxGroups],
            maxConfigurations: self[Catalogue.groupsMaxConfigurations],
            consumerSessionTimeout: self[Catalogue.groupsConsumerSessionTimeout],
            consumerHeartbeatInterval: self[Catalogue.groupsConsumerHeartbeatInterval],
            consumerMaxSize: self[Catalogue.groupsConsumerMaxSize],
            consumerAssignors: self[Catalogue.groupsConsumerAssignors])
    }

    private var shareGroups: BrokerSettings.ShareGroups {
        .init(
            sessionTimeout: self[Catalogue.shareSessionTimeout],
            heartbeatInterval: self[Catalogue.shareHeartbeatInterval], maxSize: self[Catalogue.shareMaxSize],
            recordLockDuration: self[Catalogue.shareRecordLock],
            deliveryCountLimit: self[Catalogue.shareDeliveryCountLimit],
            maxRecordLocks: self[Catalogue.shareMaxRecordLocks], maxSessions: self[Catalogue.shareMaxSessions],
            maxPartitions: self[Catalogue.shareMaxPartitions], offsetReset: self[Catalogue.shareOffsetReset],
            offsetResetDuration: self[Catalogue.shareOffsetResetDuration],
            isolation: self[Catalogue.shareIsolation])
    }

    private var limits: BrokerSettings.Limits {
        .init(
            maxTopics: self[Catalogue.limitsMaxTopics], maxPartitions: self[Catalogue.limitsMaxPartitions],
            maxPartitionsPerTopic: self[Catalogue.limitsMaxPartitionsPerTopic],
            maxFetchBytes: self[Catalogue.limitsMaxFetchBytes],
            maxFetchSessions: self[Catalogue.limitsMaxFetchSessions],
            maxMetricSeries: self[Catalogue.limitsMetricSeries])
    }
}
