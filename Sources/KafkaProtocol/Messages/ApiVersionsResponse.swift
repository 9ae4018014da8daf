// SPDX-License-Identifier: Apache-2.0
//
// ApiVersionsResponse.swift
// ApiVersions (key 18) response, versions 0 to 4; flexible from version 3.

/// The versions of every API that the broker serves.
public struct ApiVersionsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.apiVersions

    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The served versions of every API.
    public var apiKeys: [VersionRange]
    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The features this broker knows.
    public var supportedFeatures: [SupportedFeature]
    /// The epoch of the finalized features, -1 when there are none.
    public var finalizedFeaturesEpoch: Int64
    /// The features in force in the cluster.
    public var finalizedFeatures: [FinalizedFeature]
    /// Whether a move away from ZooKeeper may begin; always false here.
    public var zkMigrationReady: Bool

    /// Creates the message; what is not named is at its default.
    public init(
        errorCode: KafkaErrorCode = .none, apiKeys: [VersionRange] = [], throttleTimeMilliseconds: Int32 = 0,
        supportedFeatures: [SupportedFeature] = [], finalizedFeaturesEpoch: Int64 = -1,
        finalizedFeatures: [FinalizedFeature] = [], zkMigrationReady: Bool = false
    ) {
        self.errorCode = errorCode
        self.apiKeys = apiKeys
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.supportedFeatures = supportedFeatures
        self.finalizedFeaturesEpoch = finalizedFeaturesEpoch
        self.finalizedFeatures = finalizedFeatures
        self.zkMigrationReady = zkMigrationReady
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.apiVersions, version: version)
        errorCode = try reader.errorCode()
        apiKeys = try reader.array(version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        supportedFeatures = []
        finalizedFeaturesEpoch = -1
        finalizedFeatures = []
        zkMigrationReady = false
        try reader.taggedFields { (tag, reader) throws(WireError) in
            switch tag {
            case 0: supportedFeatures = try reader.array(version: version)
            case 1: finalizedFeaturesEpoch = try reader.int64()
            case 2: finalizedFeatures = try reader.array(version: version)
            case 3: zkMigrationReady = try reader.bool()
            default: return false
            }
            return true
        }
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.apiVersions, version: version)
        writer.errorCode(errorCode)
        writer.array(apiKeys, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        var tagged = TaggedFields()
        if !supportedFeatures.isEmpty { tagged.append(tag: 0) { $0.array(supportedFeatures, version: version) } }
        if finalizedFeaturesEpoch != -1 { tagged.append(tag: 1) { $0.int64(finalizedFeaturesEpoch) } }
        if !finalizedFeatures.isEmpty { tagged.append(tag: 2) { $0.array(finalizedFeatures, version: version) } }
        if zkMigrationReady { tagged.append(tag: 3) { $0.bool(zkMigrationReady) } }
        writer.taggedFields(tagged)
    }
}

extension ApiVersionsResponse {
    /// An API and the versions served.
    public struct VersionRange: WireCoded {
        /// The API.
        public var apiKey: Int16
        /// The lowest version.
        public var minVersion: Int16
        /// The highest version.
        public var maxVersion: Int16

        /// Creates a value.
        public init(apiKey: Int16, minVersion: Int16, maxVersion: Int16) {
            self.apiKey = apiKey
            self.minVersion = minVersion
            self.maxVersion = maxVersion
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            apiKey = try reader.int16()
            minVersion = try reader.int16()
            maxVersion = try reader.int16()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int16(apiKey)
            writer.int16(minVersion)
            writer.int16(maxVersion)
            writer.taggedFields()
        }
    }

    /// A feature this broker knows.
    public struct SupportedFeature: WireCoded {
        /// The feature's name.
        public var name: String
        /// The lowest version.
        public var minVersion: Int16
        /// The highest version.
        public var maxVersion: Int16

        /// Creates a value.
        public init(name: String, minVersion: Int16, maxVersion: Int16) {
            self.name = name
            self.minVersion = minVersion
            self.maxVersion = maxVersion
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            minVersion = try reader.int16()
            maxVersion = try reader.int16()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.int16(minVersion)
            writer.int16(maxVersion)
            writer.taggedFields()
        }
    }

    /// A feature in force in the cluster.
    public struct FinalizedFeature: WireCoded {
        /// The feature's name.
        public var name: String
        /// The highest level.
        public var maxVersionLevel: Int16
        /// The lowest level.
        public var minVersionLevel: Int16

        /// Creates a value.
        public init(name: String, maxVersionLevel: Int16, minVersionLevel: Int16) {
            self.name = name
            self.maxVersionLevel = maxVersionLevel
            self.minVersionLevel = minVersionLevel
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            maxVersionLevel = try reader.int16()
            minVersionLevel = try reader.int16()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.int16(maxVersionLevel)
            writer.int16(minVersionLevel)
            writer.taggedFields()
        }
    }
}
