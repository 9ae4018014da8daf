// SPDX-License-Identifier: Apache-2.0
//
// MessageCodec.swift
// Every message of the module behind one type, so that tests can run over all of them.

import NIOCore

@testable import KafkaProtocol

/// The codec of one message.
struct MessageCodec: Sendable, CustomStringConvertible {
    /// The type's name, which is also the name of its vector file.
    let name: String
    let key: APIKey
    let isRequest: Bool
    /// Decodes all of a buffer and returns what can be done with the value.
    let decode: @Sendable (ByteBuffer, Int16) throws(WireError) -> Decoded

    var description: String { name }
    var versions: ClosedRange<Int16> { APIRegistry[key].served }

    /// A decoded message.
    struct Decoded {
        /// The fields as `path = value`.
        let fields: () -> [String]
        /// Encodes the value again.
        let encode: () -> ByteBuffer
        /// Whether another buffer decodes to an equal value.
        let equalsDecoded: (ByteBuffer) throws -> Bool
    }

    private init<Message: WireCoded>(_: Message.Type, key: APIKey, isRequest: Bool) {
        self.name = "\(Message.self)"
        self.key = key
        self.isRequest = isRequest
        self.decode = { (buffer, version) throws(WireError) in
            let message = try Self.whole(Message.self, buffer, version)
            return Decoded(
                fields: { FieldListing.fields(of: message) },
                encode: {
                    var writer = WireWriter()
                    message.encode(to: &writer, version: version)
                    return writer.finishContiguous()
                },
                equalsDecoded: { try Self.whole(Message.self, $0, version) == message })
        }
    }

    private static func whole<Message: WireCoded>(
        _: Message.Type, _ buffer: ByteBuffer, _ version: Int16
    ) throws(WireError) -> Message {
        var reader = WireReader(buffer)
        let message = try Message(from: &reader, version: version)
        try reader.expectEnd()
        return message
    }

    private static func pair<Request: KafkaRequestMessage>(_: Request.Type) -> [MessageCodec] {
        [
            MessageCodec(Request.self, key: Request.apiKey, isRequest: true),
            MessageCodec(Request.Response.self, key: Request.Response.apiKey, isRequest: false),
        ]
    }

    /// The codec of every message.
    static let all: [MessageCodec] = [
        pair(ProduceRequest.self), pair(FetchRequest.self), pair(ListOffsetsRequest.self), pair(MetadataRequest.self),
        pair(OffsetCommitRequest.self), pair(OffsetFetchRequest.self), pair(FindCoordinatorRequest.self),
        pair(JoinGroupRequest.self), pair(HeartbeatRequest.self), pair(LeaveGroupRequest.self),
        pair(SyncGroupRequest.self), pair(DescribeGroupsRequest.self), pair(ListGroupsRequest.self),
        pair(ApiVersionsRequest.self), pair(CreateTopicsRequest.self), pair(DeleteTopicsRequest.self),
        pair(DeleteRecordsRequest.self), pair(InitProducerIDRequest.self), pair(OffsetForLeaderEpochRequest.self),
        pair(DescribeConfigsRequest.self), pair(AlterConfigsRequest.self), pair(DescribeLogDirsRequest.self),
        pair(CreatePartitionsRequest.self), pair(AddPartitionsToTxnRequest.self), pair(AddOffsetsToTxnRequest.self),
        pair(EndTxnRequest.self), pair(TxnOffsetCommitRequest.self), pair(DescribeTransactionsRequest.self),
        pair(ListTransactionsRequest.self), pair(WriteTxnMarkersRequest.self), pair(DescribeProducersRequest.self),
        pair(DeleteGroupsRequest.self), pair(ElectLeadersRequest.self), pair(IncrementalAlterConfigsRequest.self),
        pair(AlterPartitionReassignmentsRequest.self), pair(ListPartitionReassignmentsRequest.self),
        pair(OffsetDeleteRequest.self), pair(DescribeQuorumRequest.self), pair(DescribeClusterRequest.self),
        pair(ConsumerGroupHeartbeatRequest.self), pair(ConsumerGroupDescribeRequest.self),
        pair(GetTelemetrySubscriptionsRequest.self), pair(PushTelemetryRequest.self),
        pair(ListConfigResourcesRequest.self), pair(DescribeTopicPartitionsRequest.self),
        pair(ShareGroupHeartbeatRequest.self), pair(ShareGroupDescribeRequest.self), pair(ShareFetchRequest.self),
        pair(ShareAcknowledgeRequest.self), pair(DescribeShareGroupOffsetsRequest.self),
        pair(AlterShareGroupOffsetsRequest.self), pair(DeleteShareGroupOffsetsRequest.self),
    ].flatMap { $0 }
}
