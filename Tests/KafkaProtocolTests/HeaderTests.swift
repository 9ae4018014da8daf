// SPDX-License-Identifier: Apache-2.0
//
// HeaderTests.swift
// Request headers 1 and 2, response headers 0 and 1, and the exceptions of ApiVersions.

import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct HeaderTests {
    @Test(arguments: APIKey.allCases)
    func requestHeadersRoundTripInEveryVersion(_ key: APIKey) throws {
        for version in APIRegistry[key].served {
            for clientID in ["client", nil] {
                let header = RequestHeader(
                    apiKey: key.rawValue, version: version, correlationID: -5, clientID: clientID)
                var writer = WireWriter()
                header.encode(to: &writer)
                writer.int8(99)
                var frame = writer.finishContiguous()
                #expect(try RequestHeader.read(from: &frame) == header)
                #expect(frame.readableBytesView.elementsEqual([99]))
            }
        }
    }

    @Test func theClientIDStaysClassicInFlexibleHeaders() throws {
        var writer = WireWriter()
        RequestHeader(apiKey: 3, version: 9, correlationID: 1, clientID: "ab").encode(to: &writer)
        #expect(
            writer.finishContiguous().readableBytesView.hex == "0003" + "0009" + "00000001" + "0002" + "6162" + "00")
    }

    @Test func headersOfUnknownAPIsAndVersionsAreReadAsFarAsTheyAreKnown() throws {
        for (key, version): (Int16, Int16) in [(999, 0), (-1, 3), (18, 5), (0, 2), (3, 99)] {
            var frame = ByteBuffer()
            frame.writeMultipleIntegers(key, version, Int32(7), Int16(-1), UInt8(0xFF))
            let header = try RequestHeader.read(from: &frame)
            #expect(header == RequestHeader(apiKey: key, version: version, correlationID: 7, clientID: nil))
            #expect(!header.isServed)
            let error = header.key.map { WireError.unsupportedVersion($0, version) } ?? .unknownAPI(key)
            #expect(throws: error) { try RequestDecoder.decode(header, body: frame) }
        }
    }

    @Test func apiVersionsAnswersAlwaysHaveTheClassicHeader() {
        let body = ResponseEncoder.encode(ApiVersionsResponse(), version: 3, correlationID: 1).contiguous()
        // Correlation id, error, empty compact array, throttle time, no tagged fields.
        #expect(body.readableBytesView.hex == "00000001" + "0000" + "01" + "00000000" + "00")
        let other = ResponseEncoder.encode(HeartbeatResponse(), version: 4, correlationID: 1).contiguous()
        #expect(other.readableBytesView.hex == "00000001" + "00" + "00000000" + "0000" + "00")
    }

    @Test func unsupportedApiVersionsIsAnsweredInVersionZero() throws {
        let body = ResponseEncoder.unsupportedApiVersions(correlationID: 9).contiguous()
        #expect(
            body.readableBytesView.hex
                == "00000009" + "0023" + "00000001" + "0012" + "0000" + "0004")
    }

    @Test(arguments: Int16(0)...3)
    func responsesRoundTripWithTheirHeader(_ version: Int16) throws {
        let response = FindCoordinatorResponse(nodeID: 3, host: "h", port: 9092)
        var body = ResponseEncoder.encode(response, version: version, correlationID: 44).contiguous()
        #expect(try ResponseDecoder.correlationID(of: body) == 44)
        // A newer server may append what we do not know.
        body.writeInteger(UInt8(1))
        let decoded = try ResponseDecoder.decode(FindCoordinatorResponse.self, from: body, version: version)
        #expect(decoded == response)
    }
}
