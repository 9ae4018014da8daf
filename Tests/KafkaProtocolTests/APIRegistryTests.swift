// SPDX-License-Identifier: Apache-2.0
//
// APIRegistryTests.swift
// The registry is complete and consistent, and the ApiVersions answers follow from it.

import Testing

@testable import KafkaProtocol

@Suite struct APIRegistryTests {
    @Test func everyKeyHasOneEntryInRisingOrder() {
        #expect(APIRegistry.served.map(\.key) == APIKey.allCases)
        #expect(APIRegistry.served.map(\.key.rawValue) == APIRegistry.served.map(\.key.rawValue).sorted())
        #expect(Set(APIRegistry.served.map(\.name)).count == APIKey.allCases.count)
        for key in APIKey.allCases { #expect(APIRegistry[key].key == key) }
    }

    @Test func onlyProduceAdvertisesVersionsThatItRefuses() {
        for api in APIRegistry.served {
            if api.key == .produce {
                #expect(api.advertised == 0...10 && api.served == 3...10)
            } else {
                #expect(api.advertised == api.served)
            }
            if let flexibleFrom = api.flexibleFrom { #expect(api.served.contains(flexibleFrom)) }
        }
    }

    @Test func transactionsAndAuthenticationAreNotAdvertised() {
        let keys = Set(ApiVersionsResponse.served().apiKeys.map(\.apiKey))
        #expect(keys.isDisjoint(with: [17, 24, 25, 26, 27, 28, 36]))
        #expect(keys.count == 33)
    }

    /// kafka-python takes the highest of these for the broker's release, and uses what that release has: none of them may
    /// name a release above 3.7, whose ranges are the ones served.
    @Test func theRangesNameOneRelease() {
        #expect(APIRegistry[.fetch].advertised.upperBound == 16)
        #expect(APIRegistry[.produce].advertised.upperBound < 11)
        #expect(APIRegistry[.listOffsets].advertised.upperBound < 10)
        #expect(APIRegistry[.describeLogDirs].advertised.upperBound < 5)
    }

    @Test func unsupportedVersionNamesOnlyApiVersions() {
        let answer = ApiVersionsResponse.unsupportedVersion()
        #expect(answer.errorCode == .unsupportedVersion)
        #expect(answer.apiKeys == [.init(apiKey: 18, minVersion: 0, maxVersion: 4)])
    }
}
