"""Reading and embedding on a Ray cluster; this process alone writes the index (`ragctx[ray]`).

Ray Core, and not Ray Data, does it. Ray Data repeats the work of a worker that was killed without
end, or ends the whole run; here a file that kills its worker each time must cost its own row. And
a document must come back by itself, as soon as it was read, in the order of the files, which a
dataset of blocks does not promise. Ray Core needs neither pandas nor pyarrow.
"""
