// SPDX-License-Identifier: Apache-2.0
//
// GoldenVectorTests.swift
// Every API in every version against bytes spelled out field by field, and against what real clients send.

import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct GoldenVectorTests {
    @Test func everyAPIHasBothCodecs() {
        for key in APIKey.allCases {
            #expect(MessageCodec.all.filter { $0.key == key }.map(\.isRequest) == [true, false])
        }
    }

    @Test(arguments: MessageCodec.all)
    func everyVersionDecodesToItsFieldsAndEncodesToItsBytes(_ codec: MessageCodec) throws {
        let samples = try VectorFile.samples(codec.name)
        #expect(Set(samples.map(\.version)) == Set(codec.versions))
        for sample in samples {
            let message = try codec.decode(sample.buffer, sample.version)
            let fields = Set(message.fields())
            for field in sample.fields where !isEmptyBytes(field) {
                #expect(fields.contains(field), "\(sample)")
            }
            #expect(message.encode().readableBytesView.hex == sample.bytes.hex, "\(sample)")
            #expect(try message.equalsDecoded(message.encode()), "\(sample)")
        }
    }

    /// Empty `bytes` and an empty array look alike to a mirror: the re-encoded bytes prove this one.
    private func isEmptyBytes(_ field: String) -> Bool { field.hasSuffix(" = 0x") }

    @Test(arguments: MessageCodec.all)
    func versionsOutsideTheRangeAreRefused(_ codec: MessageCodec) throws {
        for version in [codec.versions.lowerBound - 1, codec.versions.upperBound + 1] {
            #expect(throws: WireError.unsupportedVersion(codec.key, version)) {
                try codec.decode(ByteBuffer(repeating: 0, count: 64), version)
            }
        }
    }

    @Test func framesOfLibrdkafkaDecodeAndEncodeUnchanged() throws {
        let frames = try VectorFile.samples("captured-librdkafka")
        #expect(frames.count == 31)
        for frame in frames {
            var body = frame.buffer
            let header = try RequestHeader.read(from: &body)
            #expect(header.version == frame.version)
            #expect(header.clientID == "rdkafka")
            let request = try RequestDecoder.decode(header, body: body)
            #expect(frame.title.hasPrefix(request.key.name + ":"))
            let codec = try #require(MessageCodec.all.first { $0.key == request.key && $0.isRequest })
            var writer = WireWriter()
            header.encode(to: &writer)
            var encoded = writer.finishContiguous()
            encoded.writeImmutableBuffer(try codec.decode(body, frame.version).encode())
            #expect(encoded.readableBytesView.hex == frame.bytes.hex, "\(frame)")
        }
    }
}
