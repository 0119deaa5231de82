while :; do
    wget -qO /db/next http://queue:6379/votes && mv /db/next /db/index.html
    sleep 1
done
