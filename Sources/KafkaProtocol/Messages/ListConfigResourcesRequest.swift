// SPDX-License-Identifier: Apache-2.0
//
// ListConfigResourcesRequest.swift
// ListConfigResources (key 74) request, versions 0 to 1; flexible from version 0.

/// Asks which resources have a configuration; version 0 knows sets of client metrics only.
public struct ListConfigResourcesRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listConfigResources
    /// What answers this request.
    public typealias Response = ListConfigResourcesResponse

    /// The types asked about, see ``ConfigResourceType``, from version 1 on; empty means all.
    public var resourceTypes: [Int8]

    /// Creates the message; what is not named is at its default.
    public init(resourceTypes: [Int8] = []) {
        self.resourceTypes = resourceTypes
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listConfigResources, version: version)
        resourceTypes = try version >= 1 ? reader.int8Array() : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listConfigResources, version: version)
        if version >= 1 { writer.int8Array(resourceTypes) }
        writer.taggedFields()
    }
}
