// SPDX-License-Identifier: Apache-2.0
//
// GoldenBatchTests.swift
// One batch spelled out byte for byte, and the same records as another client's library writes them in every codec.

import Model
import NIOCore
import Testing

@testable import Records

@Suite struct GoldenBatchTests {
    /// Two transactional records of producer 77, whose sequence wraps inside the batch.
    static let spelled = Fixture.hex(
        """
        0000000000000000 00000044 ffffffff 02 4bd4a3b2 0010 00000001 00000000000003e8 00000000000003eb
        000000000000004d 0002 7ffffffe 00000002
        16 00 00 00 02 6b 02 76 02 02 68 01
        0c 00 06 02 01 01 00
        """)

    @Test func headerFields() throws {
        let header = try RecordBatchHeader.parseFramed(Self.spelled.readableBytesSpan)
        var expected = RecordBatchHeader(
            attributes: .init(isTransactional: true),
            producer: .init(id: .init(rawValue: 77), epoch: 2, baseSequence: 2_147_483_646))
        expected.batchLength = 68
        expected.crc = 0x4BD4_A3B2
        expected.lastOffsetDelta = 1
        expected.baseTimestamp = 1000
        expected.maxTimestamp = 1003
        expected.recordCount = 2
        #expect(header == expected)
        #expect(header.totalBytes == 80)
        #expect(header.lastOffset == Offset(1))
        #expect(header.nextOffset == Offset(2))
    }

    @Test func records() throws {
        let batch = try RecordBatch.produced(in: Self.spelled)
        let summary = try batch.validate(ProduceRules(), context: CompressionContext())
        #expect(
            summary
                == RecordBatchSummary(
                    recordCount: 2, maxTimestamp: 1003, maxTimestampOffsetDelta: 1, checkedRecords: true,
                    recordBytes: 19, needsMaxTimestampCorrection: false))
        let records = try batch.allRecords()
        try #require(records.count == 2)
        #expect(records[0].key == ByteBuffer(string: "k"))
        #expect(records[0].value == ByteBuffer(string: "v"))
        #expect(records[0].headers == [RecordHeader(key: "h", value: nil)])
        #expect(records[0].timestamp == 1000)
        #expect(records[1].key == nil)
        #expect(records[1].value == nil)
        #expect(records[1].headers.isEmpty)
        #expect(records[1].timestamp == 1003)
        #expect(records.map(\.offset) == [Offset(0), Offset(1)])
    }

    @Test func theBuilderWritesTheSameBytes() throws {
        var builder = RecordBatchBuilder(
            producer: .init(id: .init(rawValue: 77), epoch: 2, baseSequence: 2_147_483_646), isTransactional: true)
        builder.append(
            key: ByteBuffer(string: "k"), value: ByteBuffer(string: "v"), timestamp: 1000,
            headers: [RecordHeader(key: "h", value: nil)])
        builder.append(key: nil, value: nil, timestamp: 1003)
        #expect(builder.uncompressedBytes == 80)
        #expect(try builder.build() == Self.spelled)
    }

    @Test(arguments: Self.foreign)
    func foreignBatches(codec: CompressionCodec, form: String) throws {
        let batch = try RecordBatch.produced(in: Fixture.hex(form))
        #expect(batch.codec == codec)
        #expect(batch.header.producerID == ProducerID(rawValue: 4242))
        #expect(batch.header.producerEpoch == 7)
        #expect(batch.header.baseSequence == 100)
        var rules = ProduceRules()
        rules.depth = .deep
        let summary = try batch.validate(rules, context: CompressionContext())
        #expect(summary.recordCount == 6)
        #expect(summary.maxTimestamp == 1_700_000_000_006)
        #expect(summary.maxTimestampOffsetDelta == 4)
        #expect(!summary.needsMaxTimestampCorrection)
        #expect(try Fixture.contents(of: batch) == Self.foreignContents)
    }

    @Test func theBuilderWritesAForeignBatchToTheByte() throws {
        let producer = ProducerFields(id: .init(rawValue: 4242), epoch: 7, baseSequence: 100)
        let batch = try Fixture.batch(Self.foreignContents, producer: producer)
        let plain = try #require(Self.foreign.first { $0.0 == .none })
        #expect(batch.bytes == Fixture.hex(plain.1))
    }

    static let foreignContents: [Fixture.Content] = (0..<6).map(foreignContent)

    private static func foreignContent(_ index: Int) -> Fixture.Content {
        let headers = [
            RecordHeader(key: "trace", value: ByteBuffer(string: "abc")), RecordHeader(key: "none", value: nil),
        ]
        let value = String(repeating: "value ", count: 8) + "\(index)"
        return Fixture.Content(
            key: index % 3 == 0 ? nil : "key-\(index)", value: index == 4 ? nil : value,
            timestamp: 1_700_000_000_000 + Int64(index * 5 % 7), headers: index == 2 ? headers : [])
    }

    /// Written by the Python client aiokafka.
    static let foreign: [(CompressionCodec, String)] = [
        (
            .none,
            """
            000000000000000000000175ffffffff02d87a3d370000000000050000018bcfe568000000018bcfe56806000000000000109200
            0700000064000000066e000000016276616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076
            616c75652076616c756520300078000a020a6b65792d316276616c75652076616c75652076616c75652076616c75652076616c75
            652076616c75652076616c75652076616c756520310098010006040a6b65792d326276616c75652076616c75652076616c756520
            76616c75652076616c75652076616c75652076616c75652076616c75652032040a747261636506616263086e6f6e65016e000206
            016276616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c75652076616c7565203300
            16000c080a6b65792d3401007800080a0a6b65792d356276616c75652076616c75652076616c75652076616c75652076616c7565
            2076616c75652076616c75652076616c7565203500
            """
        ),
        (
            .gzip,
            """
            00000000000000000000009cffffffff026192d5e00001000000050000018bcfe568000000018bcfe56806000000000000109200
            0700000064000000061f8b08006b10016b02ffcb636060604c2a4bcc294d55209e3460a860e062e2ca4eadd4352459b321c30c46
            063616b06e2392751bb17095142526a7b225262573e4e5e7a532e63130b191ee05630631061e0eb0234c1881dee1e002b34d4936
            c89401008ac888cb44010000
            """
        ),
        (
            .snappy,
            """
            0000000000000000000000abffffffff02cf84c0a40002000000050000018bcfe568000000018bcfe56806000000000000109200
            07000000640000000682534e4150505900000000010000000100000066c4022c6e000000016276616c756520a606002c30007800
            0a020a6b65792d31c23d001831009801000604053e0032c23e005432040a747261636506616263086e6f6e65016e000206c6c300
            14330016000c080585183401007800080a050c0035c29100043500
            """
        ),
        (
            .lz4,
            """
            0000000000000000000000acffffffff026b86a3920003000000050000018bcfe568000000018bcfe56806000000000000109200
            07000000640000000604224d187040ad68000000cf6e000000016276616c756520060017cf300078000a020a6b65792d313d001e
            71310098010006043e001f323e001eff0732040a747261636506616263086e6f6e65016e000206c3001f61330016000c08850071
            3401007800080a0c001f3549001b507565203500d996c1a000000000
            """
        ),
        (
            .zstd,
            """
            000000000000000000000099ffffffff02183741300004000000050000018bcfe568000000018bcfe56806000000000000109200
            07000000640000000628b52ffd604400f5020064046e000000016276616c756520300078000a020a6b65792d3131009801000604
            3232040a747261636506616263086e6f6e65016e000206330016000c083401007800080a353500080042088a69068462a3895a88
            1b446b044294062a49
            """
        ),
    ]
}
