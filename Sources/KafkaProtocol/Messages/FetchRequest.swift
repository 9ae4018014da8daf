// SPDX-License-Identifier: Apache-2.0
//
// FetchRequest.swift
// Fetch (key 1) request, versions 4 to 18; flexible from version 12.

public import Model

/// Asks for the record batches of partitions from an offset on.
public struct FetchRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.fetch
    /// What answers this request.
    public typealias Response = FetchResponse

    /// The cluster the request is meant for; only replicas set it.
    public var clusterID: String?
    /// The replica that asks, -1 for a consumer.
    public var replicaID: Int32
    /// The start of the replica's process, -1 when unknown; from version 15 on.
    public var replicaEpoch: Int64
    /// How long the broker may wait for records.
    public var maxWaitMilliseconds: Int32
    /// How many bytes of records are worth answering before the wait ends.
    public var minBytes: Int32
    /// The most bytes of records in the answer; the first batch may exceed it.
    public var maxBytes: Int32
    /// Which records are visible, see ``IsolationLevel``.
    public var isolationLevel: Int8
    /// The fetch session, 0 for none.
    public var sessionID: Int32
    /// The session's epoch, -1 outside a session.
    public var sessionEpoch: Int32
    /// The topics asked about.
    public var topics: [Topic]
    /// The partitions to drop from the session.
    public var forgottenTopics: [ForgottenTopic]
    /// The client's rack, empty when unknown.
    public var rackID: String

    /// Creates the message; what is not named is at its default.
    public init(
        clusterID: String? = nil, replicaID: Int32 = -1, replicaEpoch: Int64 = -1, maxWaitMilliseconds: Int32,
        minBytes: Int32, maxBytes: Int32 = .max, isolationLevel: Int8, sessionID: Int32 = 0, sessionEpoch: Int32 = -1,
        topics: [Topic] = [], forgottenTopics: [ForgottenTopic] = [], rackID: String = ""
    ) {
        self.clusterID = clusterID
        self.replicaID = replicaID
        self.replicaEpoch = replicaEpoch
        self.maxWaitMilliseconds = maxWaitMilliseconds
        self.minBytes = minBytes
        self.maxBytes = maxBytes
        self.isolationLevel = isolationLevel
        self.sessionID = sessionID
        self.sessionEpoch = sessionEpoch
        self.topics = topics
        self.forgottenTopics = forgottenTopics
        self.rackID = rackID
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.fetch, version: version)
        replicaID = try version <= 14 ? reader.int32() : -1
        replicaEpoch = -1
        maxWaitMilliseconds = try reader.int32()
        minBytes = try reader.int32()
        maxBytes = try reader.int32()
        isolationLevel = try reader.int8()
        sessionID = try version >= 7 ? reader.int32() : 0
        sessionEpoch = try version >= 7 ? reader.int32() : -1
        topics = try reader.array(version: version)
        forgottenTopics = try version >= 7 ? reader.array(version: version) : []
        rackID = try version >= 11 ? reader.string() : ""
        clusterID = nil
        try reader.taggedFields { (tag, reader) throws(WireError) in
            switch tag {
            case 0: clusterID = try reader.nullableString()
            case 1 where version >= 15:
                replicaID = try reader.int32()
                replicaEpoch = try reader.int64()
                try reader.taggedFields()
            default: return false
            }
            return true
        }
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.fetch, version: version)
        if version <= 14 { writer.int32(replicaID) }
        writer.int32(maxWaitMilliseconds)
        writer.int32(minBytes)
        writer.int32(maxBytes)
        writer.int8(isolationLevel)
        if version >= 7 {
            writer.int32(sessionID)
            writer.int32(sessionEpoch)
        }
        writer.array(topics, version: version)
        if version >= 7 { writer.array(forgottenTopics, version: version) }
        if version >= 11 { writer.string(rackID) }
        var tagged = TaggedFields()
        if let clusterID { tagged.append(tag: 0) { $0.string(clusterID) } }
        if version >= 15, replicaID != -1 || replicaEpoch != -1 {
            tagged.append(tag: 1) {
                $0.int32(replicaID)
                $0.int64(replicaEpoch)
                $0.taggedFields()
            }
        }
        writer.taggedFields(tagged)
    }
}

extension FetchRequest {
    /// One topic and its partitions.
    public typealias Topic = NamedOrIdentifiedTopic<Partition>

    /// One partition.
    public struct Partition: WireCoded {
        /// The partition.
        public var index: Int32
        /// The leader epoch the client knows, -1 to skip the check.
        public var currentLeaderEpoch: Int32
        /// The offset of the first wanted record.
        public var fetchOffset: Int64
        /// The epoch of the client's last record, -1 to skip the check.
        public var lastFetchedEpoch: Int32
        /// The first offset of the log, -1 when unknown.
        public var logStartOffset: Int64
        /// The most bytes of this partition's records; the first batch may exceed it.
        public var partitionMaxBytes: Int32
        /// The directory of the replica that asks, from version 17 on; zero for consumers.
        public var replicaDirectoryID: UniqueID
        /// The high watermark the replica that asks knows, from version 18 on; the highest number when it does not say.
        public var highWatermark: Int64

        /// Creates a value; what is not named is at its default.
        public init(
            index: Int32, currentLeaderEpoch: Int32 = -1, fetchOffset: Int64, lastFetchedEpoch: Int32 = -1,
            logStartOffset: Int64 = -1, partitionMaxBytes: Int32, replicaDirectoryID: UniqueID = .zero,
            highWatermark: Int64 = .max
        ) {
            self.index = index
            self.currentLeaderEpoch = currentLeaderEpoch
            self.fetchOffset = fetchOffset
            self.lastFetchedEpoch = lastFetchedEpoch
            self.logStartOffset = logStartOffset
            self.partitionMaxBytes = partitionMaxBytes
            self.replicaDirectoryID = replicaDirectoryID
            self.highWatermark = highWatermark
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            index = try reader.int32()
            currentLeaderEpoch = try version >= 9 ? reader.int32() : -1
            fetchOffset = try reader.int64()
            lastFetchedEpoch = try version >= 12 ? reader.int32() : -1
            logStartOffset = try version >= 5 ? reader.int64() : -1
            partitionMaxBytes = try reader.int32()
            replicaDirectoryID = .zero
            highWatermark = .max
            try reader.taggedFields { (tag, reader) throws(WireError) in
                switch tag {
                case 0 where version >= 17: replicaDirectoryID = try reader.uniqueID()
                case 1 where version >= 18: highWatermark = try reader.int64()
                default: return false
                }
                return true
            }
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int32(index)
            if version >= 9 { writer.int32(currentLeaderEpoch) }
            writer.int64(fetchOffset)
            if version >= 12 { writer.int32(lastFetchedEpoch) }
            if version >= 5 { writer.int64(logStartOffset) }
            writer.int32(partitionMaxBytes)
            var tagged = TaggedFields()
            if version >= 17, replicaDirectoryID != .zero { tagged.append(tag: 0) { $0.uniqueID(replicaDirectoryID) } }
            if version >= 18, highWatermark != .max { tagged.append(tag: 1) { $0.int64(highWatermark) } }
            writer.taggedFields(tagged)
        }
    }

    /// A topic and the partitions to drop from the session.
    public struct ForgottenTopic: WireCoded {
        /// The topic's name, up to version 12.
        public var name: String
        /// The topic's id, from version 13 on.
        public var topicID: TopicID
        /// The partitions.
        public var partitionIndexes: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(name: String = "", topicID: TopicID = .zero, partitionIndexes: [Int32] = []) {
            self.name = name
            self.topicID = topicID
            self.partitionIndexes = partitionIndexes
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try version <= 12 ? reader.string() : ""
            topicID = try version >= 13 ? reader.topicID() : .zero
            partitionIndexes = try reader.int32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            if version <= 12 { writer.string(name) }
            if version >= 13 { writer.topicID(topicID) }
            writer.int32Array(partitionIndexes)
            writer.taggedFields()
        }
    }
}
