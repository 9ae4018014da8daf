// SPDX-License-Identifier: Apache-2.0
//
// ApiVersionsResponse+Registry.swift
// The two answers to ApiVersions, made from the registry.

extension ApiVersionsResponse {
    /// What we serve.
    ///
    /// No features: whoever adds one must leave it out below version 4 when its lowest version is 0, because old Java
    /// clients refuse the whole answer then (KAFKA-17011).
    public static func served(throttleTimeMilliseconds: Int32 = 0) -> ApiVersionsResponse {
        ApiVersionsResponse(
            apiKeys: APIRegistry.served.map(VersionRange.init(advertising:)),
            throttleTimeMilliseconds: throttleTimeMilliseconds)
    }

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
