// SPDX-License-Identifier: Apache-2.0
//
// ApiVersionsResponse+Registry.swift
// The two answers to ApiVersions, made from the registry.

extension ApiVersionsResponse {
    /// What we serve.
    ///
    /// The lowest version of each feature is 1: old Java clients refuse the whole answer when one is 0 (KAFKA-17011),
    /// so such a feature would have to be left out below version 4. What is known is in force, so the epoch of what is
    /// in force is always the same.
    public static func served(throttleTimeMilliseconds: Int32 = 0) -> ApiVersionsResponse {
        ApiVersionsResponse(
            apiKeys: APIRegistry.served.map(VersionRange.init(advertising:)),
            throttleTimeMilliseconds: throttleTimeMilliseconds,
            supportedFeatures: features.map { SupportedFeature(name: $0.name, minVersion: 1, maxVersion: $0.level) },
            finalizedFeaturesEpoch: 0,
            finalizedFeatures: features.map {
                FinalizedFeature(name: $0.name, maxVersionLevel: $0.level, minVersionLevel: $0.level)
            })
    }

    /// The features with the level that is in force: `group.version` 1 is the consumer protocol (KIP-848),
    /// `share.version` 1 are share groups (KIP-932).
    private static let features: [(name: String, level: Int16)] = [("group.version", 1), ("share.version", 1)]

    /// The answer to a version that we do not serve; to be written in version 0, whatever was asked.
    ///
    /// The array names only ApiVersions itself, so that the client can try again with a version that we know. It is
    /// never null: librdkafka cannot read that.
    public static func unsupportedVersion() -> ApiVersionsResponse {
        ApiVersionsResponse(
            errorCode: .unsupportedVersion, apiKeys: [VersionRange(advertising: APIRegistry[.apiVersions])])
    }
}

extension ApiVersionsResponse.VersionRange {
    /// The entry that advertises `api`.
    init(advertising api: APIDescription) {
        self.init(
            apiKey: api.key.rawValue, minVersion: api.advertised.lowerBound, maxVersion: api.advertised.upperBound)
    }
}
