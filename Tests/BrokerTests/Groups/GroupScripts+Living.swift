// SPDX-License-Identifier: Apache-2.0
//
// GroupScripts+Living.swift
// Transcripts: heartbeats and commits, and what else proves a member alive.

extension GroupScript {
    static let living: [GroupScript] = [
        GroupScript(
            "heartbeats in every state",
            """
            set delay=0
            heartbeat a id=x gen=0
              unknownMemberID
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            heartbeat a
              ok
            sync a assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            heartbeat a
              ok
            heartbeat a gen=0
              illegalGeneration
            heartbeat a id=x
              unknownMemberID
            join b v=3
              PreparingRebalance gen=1
            heartbeat a
              rebalanceInProgress
            """),
        GroupScript(
            "silent members expire and the others rebalance",
            """
            set delay=0
            join a v=3 session=20000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=10000
              PreparingRebalance gen=1
            join a session=20000
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            wait 9999
            wait 1
              @10000 removed b.1: sessionExpired
              @10000 PreparingRebalance gen=2
            heartbeat a
              rebalanceInProgress
            join a session=20000
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "heartbeats keep a member alive",
            """
            stable a
            wait 9000
            heartbeat a
              ok
            wait 9999
            heartbeat a
              ok
            wait 10000
              @28999 removed a.1: sessionExpired
              @28999 PreparingRebalance gen=1
              @28999 Empty gen=2
              @28999 store gen=2 []
            """),
        GroupScript(
            "commits keep a member alive",
            """
            stable a
            wait 9000
            commit a
              ok
            wait 9999
            wait 1
              @19000 removed a.1: sessionExpired
              @19000 PreparingRebalance gen=1
              @19000 Empty gen=2
              @19000 store gen=2 []
            """),
        GroupScript(
            "a parked join counts as alive",
            """
            set delay=0
            join a v=3 session=6000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=60000 rebalance=300000
              PreparingRebalance gen=1
            join a session=6000
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join a session=6000
              PreparingRebalance gen=2
            heartbeat a
              rebalanceInProgress
            wait 40000
            join b
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "a parked sync counts as alive",
            """
            set delay=0
            join a v=3 session=60000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=6000
              PreparingRebalance gen=1
            join a session=60000
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            wait 20000
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
              sync b: ok [y]
            wait 5999
            wait 1
              @26000 removed b.1: sessionExpired
              @26000 PreparingRebalance gen=2
            """),
        GroupScript(
            "a parked first join is given up after five minutes",
            """
            set delay=0
            join a v=3 session=600000 rebalance=600000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            join b v=3 session=6000
              PreparingRebalance gen=1
            wait 299999
            wait 1
              @300000 join b: unknownMemberID
              @300000 removed b.1: sessionExpired
            """),
        GroupScript(
            "heartbeats keep a member alive that still has to rejoin",
            """
            set delay=0
            join a v=3 session=6000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            join b v=3
              PreparingRebalance gen=1
            wait 5000
            heartbeat a
              rebalanceInProgress
            wait 5000
            join a session=6000
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            """),
        GroupScript(
            "a simple consumer commits while there are no members",
            """
            set delay=0
            commit - id=- gen=-1
              ok
            join a
              join a: memberIDRequired a.1
            commit - id=- gen=-1
              ok
            join a
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            commit - id=- gen=-1
              unknownMemberID
            """),
        GroupScript(
            "who may commit",
            """
            joined a
            commit a
              rebalanceInProgress
            sync a assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            commit a
              ok
            commit a gen=0
              illegalGeneration
            commit a gen=-1
              illegalGeneration
            commit a id=x
              unknownMemberID
            join b v=3
              PreparingRebalance gen=1
            commit a
              ok
            """),
    ]
}
