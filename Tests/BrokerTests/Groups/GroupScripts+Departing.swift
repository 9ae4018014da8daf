// SPDX-License-Identifier: Apache-2.0
//
// GroupScripts+Departing.swift
// Transcripts: departures, lost connections and failovers.

extension GroupScript {
    static let departing: [GroupScript] = [
        GroupScript(
            "the last member leaves an empty group",
            """
            set delay=0
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            leave a
              ok
              removed a.1: left
              PreparingRebalance gen=1
              Empty gen=2
              store gen=2 []
            describe
              Empty type=consumer protocol=
            heartbeat a
              unknownMemberID
            """),
        GroupScript(
            "a member that leaves rebalances the others",
            """
            joined a b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            leave b
              ok
              removed b.1: left
              PreparingRebalance gen=2
            heartbeat a
              rebalanceInProgress
            join a
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "several members leave at once and each gets its own answer",
            """
            joined a
            join b v=3
              PreparingRebalance gen=1
            join c v=3
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b c.1:c]
              join b: ok b.1 gen=2 range leader=a.1
              join c: ok c.1 gen=2 range leader=a.1
            join b
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y c.1:]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            sync c
              sync c: ok []
            leave a nobody b b
              ok unknownMemberID ok unknownMemberID
              removed a.1: left
              removed b.1: left
              PreparingRebalance gen=2
            join c
              CompletingRebalance gen=3
              join c: ok c.1 gen=3 range leader=c.1 [c.1:c]
            """),
        GroupScript(
            "a parked member that is removed is answered",
            """
            stable a
            join b v=3
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            leave b
              ok
              sync b: unknownMemberID
              removed b.1: left
              PreparingRebalance gen=2
            """),
        GroupScript(
            "the last one missing leaves and the rebalance ends",
            """
            joined a b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join a
              PreparingRebalance gen=2
            leave b
              ok
              removed b.1: left
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "a lost connection before the id was told removes the member",
            """
            stable a
            join b v=3
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            gone sync b
            join c v=3
              PreparingRebalance gen=2
            gone join c
              removed c.1: disconnected
            heartbeat a
              rebalanceInProgress
            join a
            join b
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "a lost connection of a member that knows its id starts its session",
            """
            stable a
            join b
              join b: memberIDRequired b.1
            join b
              PreparingRebalance gen=1
            gone join b
            join a
            wait 9999
            wait 1
              @10000 removed b.1: sessionExpired
              @10000 CompletingRebalance gen=2
              @10000 join a: ok a.1 gen=2 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "a lost sync connection leaves the member its session",
            """
            joined a b
            sync b
            gone sync b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            """),
        GroupScript(
            "another broker carries on with what was stored",
            """
            joined a b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            restart
              Stable gen=2
            heartbeat a
              ok
            heartbeat b
              ok
            join b
              join b: ok b.1 gen=2 range leader=a.1
            sync b
              sync b: ok [y]
            describe
              Stable type=consumer protocol=range
              a.1 metadata=a assignment=x
              b.1 metadata=b assignment=y
            """),
        GroupScript(
            "after a failover all protocols of a member are still known",
            """
            set delay=0
            join a v=3 p=range,rr
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 p=range,rr
              PreparingRebalance gen=1
            join a p=range,rr
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            restart
              Stable gen=2
            join b p=range,rr
              join b: ok b.1 gen=2 range leader=a.1
            """),
        GroupScript(
            "a failover in a rebalance falls back to the last stored generation",
            """
            stable a
            join b v=3
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            restart
              sync b: notCoordinator
              Stable gen=1
            heartbeat b
              unknownMemberID
            heartbeat a
              illegalGeneration
            join b v=3
              join b: unknownMemberID
            join a
              PreparingRebalance gen=1
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "members that are not heard from after a failover expire",
            """
            stable a
            restart
              Stable gen=1
            wait 10000
              @10000 removed a.1: sessionExpired
              @10000 PreparingRebalance gen=1
              @10000 Empty gen=2
              @10000 store gen=2 []
            """),
        GroupScript(
            "losing leadership releases every parked request",
            """
            joined a b
            sync b
            resign
              sync b: notCoordinator
            """),
        GroupScript(
            "a join parked at the time of losing leadership is released",
            """
            stable a
            join b v=3
              PreparingRebalance gen=1
            resign
              join b: notCoordinator
            """),
    ]
}
