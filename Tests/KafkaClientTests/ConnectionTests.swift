// SPDX-License-Identifier: Apache-2.0
//
// ConnectionTests.swift
// Negotiation, retries, deadlines and order against a scripted server.

import KafkaProtocol
import Model
import NIOCore
import Synchronization
import Testing

@testable import KafkaClient

@Suite struct ConnectionTests {
    private static let noTopics = MetadataResponse(
        brokers: [.init(nodeID: 1, host: "127.0.0.1", port: 9)], clusterID: "c", controllerID: 1)

    @Test func takesTheHighestVersionThatBothKnow() async throws {
        let versions = ApiVersionsResponse(apiKeys: [
            .init(apiKey: APIKey.apiVersions.rawValue, minVersion: 0, maxVersion: 99),
            .init(apiKey: APIKey.metadata.rawValue, minVersion: 2, maxVersion: 5),
        ])
        try await withScriptedServer({ header, _ in
            .answer(header.key == .apiVersions ? versions : Self.noTopics)
        }) { server, client in
            let metadata = try await client.metadata()
            #expect(metadata.clusterID == "c")
            #expect(server.seen.map(\.apiKey) == [APIKey.apiVersions.rawValue, APIKey.metadata.rawValue])
            #expect(server.seen.map(\.version) == [APIRegistry[.apiVersions].served.upperBound, 5])
            #expect(server.seen.allSatisfy { $0.clientID == "goulette" })
        }
    }

    @Test func comesDownToAnOldBrokersVersion() async throws {
        try await withScriptedServer({ header, _ in
            guard header.key == .apiVersions else { return .answer(Self.noTopics) }
            guard header.version > 1 else { return .answer(ApiVersionsResponse.served()) }
            let refusal = ApiVersionsResponse(
                errorCode: .unsupportedVersion,
                apiKeys: [.init(apiKey: APIKey.apiVersions.rawValue, minVersion: 0, maxVersion: 1)])
            return .bytes(
                ResponseEncoder.encode(refusal, version: 0, correlationID: header.correlationID).contiguous())
        }) { server, client in
            _ = try await client.metadata()
            #expect(server.seen.prefix(2).map(\.version) == [APIRegistry[.apiVersions].served.upperBound, 1])
        }
    }

    @Test func anUnreadableRefusalLeadsToVersionZero() async throws {
        try await withScriptedServer({ header, _ in
            guard header.key == .apiVersions else { return .answer(Self.noTopics) }
            guard header.version > 0 else { return .answer(ApiVersionsResponse.served()) }
            var bytes = ByteBuffer(integer: header.correlationID)
            bytes.writeInteger(KafkaErrorCode.unsupportedVersion.rawValue)
            return .bytes(bytes)
        }) { server, client in
            _ = try await client.metadata()
            #expect(server.seen.prefix(2).map(\.version) == [APIRegistry[.apiVersions].served.upperBound, 0])
        }
    }

    @Test func anAPIThatTheBrokerLacksIsAnErrorAtOnce() async throws {
        let versions = ApiVersionsResponse(apiKeys: [
            .init(apiKey: APIKey.apiVersions.rawValue, minVersion: 0, maxVersion: 3)
        ])
        try await withScriptedServer({ _, _ in .answer(versions) }) { server, client in
            let error = await #expect(throws: ClientError.self) { try await client.metadata() }
            #expect(error?.code == .unsupportedVersion)
            #expect(error?.isRetriable == false)
            #expect(server.count(.metadata) == 0)
        }
    }

    @Test func goesOnToTheNextBrokerOfTheList() async throws {
        try await withScriptedServer(
            { header, _ in .answer(header.key == .apiVersions ? ApiVersionsResponse.served() : Self.noTopics) },
            // Nothing listens on port 1.
            configure: { $0.bootstrap.insert(BrokerAddress(host: "127.0.0.1", port: 1), at: 0) }
        ) { _, client in
            let metadata = try await client.metadata()
            #expect(metadata.clusterID == "c")
        }
    }

    @Test func givesUpWhenNobodyListens() async throws {
        try await withScriptedServer(
            { _, _ in .close },
            configure: {
                $0.bootstrap = [BrokerAddress(host: "127.0.0.1", port: 1)]
                $0.reachTimeoutMilliseconds = 50
            }
        ) { _, client in
            let error = await #expect(throws: ClientError.self) { try await client.metadata() }
            #expect(error?.code == .unreachable)
        }
    }

    @Test func waitsForLeadersOfNewTopics() async throws {
        let attempts = Mutex(0)
        try await withScriptedServer({ header, _ in
            guard header.key == .metadata else { return .answer(ApiVersionsResponse.served()) }
            let attempt = attempts.withLock { count in
                count += 1
                return count
            }
            var response = metadata(
                of: ["t": 1], at: BrokerAddress(host: "127.0.0.1", port: 9), leader: attempt < 4 ? -1 : 1)
            if attempt == 1 { response.topics[0].errorCode = .unknownTopicOrPartition }
            return .answer(response)
        }) { server, client in
            let found = try await client.readyMetadata(topics: ["t"])
            #expect(found.topics["t"]?.partitions.first?.leader == NodeID(rawValue: 1))
            #expect(server.count(.metadata) == 4)
        }
    }

    @Test func deletingATopicThatDoesNotExistFailsAtOnce() async throws {
        try await withMiniBroker(override: { request in
            guard case .deleteTopics = request else { return nil }
            return .answer(DeleteTopicsResponse(topics: [.init(name: "x", errorCode: .unknownTopicOrPartition)]))
        }) { _, server, client in
            let error = await #expect(throws: ClientError.self) { try await client.deleteTopic("x") }
            #expect(error?.kafka == .unknownTopicOrPartition)
            #expect(server.count(.deleteTopics) == 1)
        }
    }

    @Test func anErrorThatCannotPassIsNotRetried() async throws {
        try await withScriptedServer({ header, _ in
            guard header.key == .metadata else { return .answer(ApiVersionsResponse.served()) }
            return .answer(MetadataResponse(topics: [.init(errorCode: .topicAuthorizationFailed, name: "t")]))
        }) { server, client in
            let error = await #expect(throws: ClientError.self) { try await client.readyMetadata(topics: ["t"]) }
            #expect(error?.kafka == .topicAuthorizationFailed)
            #expect(server.count(.metadata) == 1)
        }
    }

    @Test func aRequestPastItsDeadlineEndsItsConnectionAndTheNextOneConnectsAgain() async throws {
        let isSilent = Mutex(true)
        try await withScriptedServer(
            { header, _ in
                if header.key == .apiVersions { return .answer(ApiVersionsResponse.served()) }
                return isSilent.withLock { $0 } ? .silence : .answer(Self.noTopics)
            },
            configure: {
                $0.requestTimeoutMilliseconds = 60
                $0.callTimeoutMilliseconds = 100
            }
        ) { server, client in
            let error = await #expect(throws: ClientError.self) { try await client.metadata() }
            #expect(error?.code == .timedOut)
            isSilent.withLock { $0 = false }
            let before = server.count(.apiVersions)
            _ = try await client.metadata()
            #expect(server.count(.apiVersions) == before + 1)
        }
    }

    /// As after SIGSTOP and SIGCONT: what came in while the client stood still is read before deadlines count.
    @Test func answersThatCameWhileTheClientStoodStillAreRead() async throws {
        let standsStill = Mutex<(@Sendable () -> Void)?>(nil)
        try await withScriptedServer(
            { header, _ in
                if header.key == .apiVersions { return .answer(ApiVersionsResponse.served()) }
                standsStill.withLock { $0 }?()
                return .answer(Self.noTopics)
            },
            configure: { $0.requestTimeoutMilliseconds = 60 }
        ) { server, client in
            standsStill.withLock {
                $0 = {
                    client.eventLoop.execute {
                        let late = NIODeadline.now() + .milliseconds(200)
                        while NIODeadline.now() < late {}
                    }
                }
            }
            _ = try await client.metadata()
            #expect(server.count(.apiVersions) == 1 && server.count(.metadata) == 1)
        }
    }

    @Test func aLostConnectionIsMadeAgain() async throws {
        let attempts = Mutex(0)
        try await withScriptedServer({ header, _ in
            if header.key == .apiVersions { return .answer(ApiVersionsResponse.served()) }
            let attempt = attempts.withLock { count in
                count += 1
                return count
            }
            return attempt == 1 ? .close : .answer(Self.noTopics)
        }) { server, client in
            _ = try await client.metadata()
            #expect(server.count(.apiVersions) == 2)
        }
    }

    @Test(arguments: ["wrong id", "short", "garbage"])
    func anAnswerThatMakesNoSenseEndsTheCall(_ kind: String) async throws {
        try await withScriptedServer({ header, _ in
            if header.key == .apiVersions { return .answer(ApiVersionsResponse.served()) }
            switch kind {
            case "wrong id":
                return .bytes(
                    ResponseEncoder.encode(
                        Self.noTopics, version: header.version, correlationID: header.correlationID + 9
                    )
                    .contiguous())
            case "short": return .bytes(ByteBuffer(bytes: [1, 2]))
            default:
                var bytes = ByteBuffer(integer: header.correlationID)
                bytes.writeRepeatingByte(0xFF, count: 20)
                return .bytes(bytes)
            }
        }) { server, client in
            let error = await #expect(throws: ClientError.self) { try await client.metadata() }
            #expect(error?.code == .malformedResponse)
            #expect(server.count(.metadata) == 1)
        }
    }

    @Test func pipelinedAnswersReachTheirOwnRequests() async throws {
        try await withScriptedServer({ header, request in
            guard case .findCoordinator(let request) = request else { return .answer(ApiVersionsResponse.served()) }
            return .answer(FindCoordinatorResponse(nodeID: Int32(request.key) ?? -1, host: "h", port: 1))
        }) { server, client in
            let answers: [Int32] = await client.withCore { core, done in
                var answers: [Int32] = []
                for number in 0..<200 {
                    core.send(FindCoordinatorRequest(key: "\(number)"), to: .any) { result in
                        answers.append((try? result.get().nodeID) ?? -2)
                        if answers.count == 200 { done(answers) }
                    }
                }
            }
            #expect(answers == Array(0..<200))
            #expect(server.count(.apiVersions) == 1)
        }
    }

    @Test func closingFailsWhatWaits() async throws {
        try await withScriptedServer({ header, _ in
            header.key == .apiVersions ? .answer(ApiVersionsResponse.served()) : .silence
        }) { server, client in
            async let failure = #expect(throws: ClientError.self) { try await client.metadata() }
            while server.count(.metadata) == 0 { await client.pause(milliseconds: 1) }
            await client.close()
            #expect(await failure?.code == .closed)
            let later = await #expect(throws: ClientError.self) { try await client.metadata() }
            #expect(later?.code == .closed)
        }
    }
}
