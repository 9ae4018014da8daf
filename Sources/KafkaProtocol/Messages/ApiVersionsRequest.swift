// SPDX-License-Identifier: Apache-2.0
//
// ApiVersionsRequest.swift
// ApiVersions (key 18) request, versions 0 to 4; flexible from version 3.

/// Asks which versions of which APIs the broker serves.
public struct ApiVersionsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.apiVersions
    /// What answers this request.
    public typealias Response = ApiVersionsResponse

    /// The client library's name.
    public var clientSoftwareName: String
    /// The client library's version.
    public var clientSoftwareVersion: String

    /// Creates the message; what is not named is at its default.
    public init(clientSoftwareName: String = "", clientSoftwareVersion: String = "") {
        self.clientSoftwareName = clientSoftwareName
        self.clientSoftwareVersion = clientSoftwareVersion
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.apiVersions, version: version)
        clientSoftwareName = try version >= 3 ? reader.string() : ""
        clientSoftwareVersion = try version >= 3 ? reader.string() : ""
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.apiVersions, version: version)
        if version >= 3 {
            writer.string(clientSoftwareName)
            writer.string(clientSoftwareVersion)
        }
        writer.taggedFields()
    }
}
