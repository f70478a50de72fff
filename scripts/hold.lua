-- wrk calls done() when a run is over, before it closes its connections. Waiting here keeps them
-- open while ./duel reads the server's counters, so that a server with a backlog cannot "serve"
-- clients that have already gone. A script with nothing but done() costs no time per request.
function done()
  io.stderr:write("measured\n")
  io.read("*l")
end
