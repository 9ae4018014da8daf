// SPDX-License-Identifier: Apache-2.0
//
// ApiVersionsResponse+Registry.swift
// The two answers to ApiVersions, made from the registry.

extension ApiVersionsResponse {
    /// What we serve, for a request of `version`.
    ///
    /// Below version 4 features that may be off altogether are not named as supported: old Java clients refuse the whole
    /// answer when a lowest version is 0 (KAFKA-17011). What is in force is named to all. What is known is in force, so the
    /// epoch of what is in force is always the same.
    public static func served(version: Int16 = 4, throttleTimeMilliseconds: Int32 = 0) -> ApiVersionsResponse {
        ApiVersionsResponse(
            apiKeys: APIRegistry.served.map(VersionRange.init(advertising:)),
            throttleTimeMilliseconds: throttleTimeMilliseconds,
            supportedFeatures: features.filter { version >= 4 || $0.supported.lowerBound > 0 }.map {
                SupportedFeature(
                    name: $0.name, minVersion: $0.supported.lowerBound, maxVersion: $0.supported.upperBound)
            },
            finalizedFeaturesEpoch: 0,
            finalizedFeatures: features.map {
                FinalizedFeature(
                    name: $0.name, maxVersionLevel: $0.supported.upperBound, minVersionLevel: $0.supported.upperBound)
            })
    }

    /// The features, of which the highest level is in force: `group.version` 1 is the consumer protocol (KIP-848),
    /// `transaction.version` 2 an epoch for each transaction (KIP-890), beside which clients of the versions before go on,
    /// `share.version` 1 are share groups (KIP-932).
    private static let features: [(name: String, supported: ClosedRange<Int16>)] = [
        ("group.version", 1...1), ("share.version", 1...1), ("transaction.version", 0...2),
    ]

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
